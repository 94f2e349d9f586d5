"""The example of a generation engine of one's own: it conforms, and a search with it comes to its leaderboard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from eval.engines.conformance import check_engine
from eval.engines.policy import load_policy
from eval.engines.stacked_adapters import StackedAdapters
from eval.engines.transformers_engine import TransformersEngine
from examples.engine_of_ones_own import OneTokenAtATime
from tests.examples.test_executor import TINY
from tests.search.searches import run_search
from tests.trainer.tiny import Sums, write_policy


def check(engine: type, folder: Path) -> None:
    from peft import LoraConfig, get_peft_model

    policy = load_policy(str(write_policy(folder / "policy")), "cpu")
    config = LoraConfig(r=4, lora_alpha=32, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    torch.manual_seed(1)
    wrapped = get_peft_model(policy.model, config)
    wrapped.save_pretrained(folder / "adapter")
    wrapped.unload()
    prompts = policy.prompt_tokens([example.prompt for example in Sums({}).examples("test", 5)])
    check_engine(engine, policy, prompts, str(folder / "adapter"))
    live = StackedAdapters(policy.model, config, 2)
    with torch.no_grad():
        for parameter in live.parameters():
            parameter.normal_(std=0.3)
    check_engine(engine, policy, prompts, live=live)
    live.remove()


def test_the_built_in_engine_conforms(tmp_path: Path) -> None:
    check(TransformersEngine, tmp_path)


def test_the_example_conforms(tmp_path: Path) -> None:
    check(OneTokenAtATime, tmp_path)


@pytest.mark.slow
def test_a_search_with_it_comes_to_the_leaderboard(tmp_path: Path) -> None:
    engine = {"name": "examples.engine_of_ones_own:OneTokenAtATime"}
    search = {**TINY["search"], "base_rollouts": {"questions": 24, "per_question": 2}}  # some of them right
    code, run = run_search(tmp_path, engine=engine, executor={"name": "local"}, **{**TINY, "search": search})
    assert code == 0
    names = [entry["name"] for entry in json.loads((run / "leaderboard.json").read_text(encoding="utf-8"))]
    assert "top-2" in names
