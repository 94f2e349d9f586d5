"""A search that starts from a policy which supervised fine-tuning left, on the testbed, to its leaderboard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from search.cli import main
from search.config.source import overlaid, parse_as
from search.driver.pipeline import PIPELINE_PRESETS
from trainer.pipeline.description import Pipeline
from trainer.pipeline.run import run_pipeline

STAGES = ("grpo.tuning=none", "sft.steps=12", "evaluation=null")
SEARCH = (
    "search.rounds=1",
    "search.candidates_per_round=2",
    "search.reflection_minimum=0",
    "search.base_rollouts={questions: 16, per_question: 4}",
    "screening.grpo.steps=4",
    "screening.questions=40",
    "finals.ensembles=[top-2]",
    "finals.test_questions=100",
)


@pytest.mark.slow
def test_a_search_starts_from_a_fine_tuned_policy(tmp_path: Path) -> None:
    pipeline = parse_as(Pipeline, overlaid("testbed-quick", None, STAGES, {}, PIPELINE_PRESETS))
    result = run_pipeline(pipeline, tmp_path / "staged")
    assert result.failure is None
    fields = [f"base_model={tmp_path / 'staged' / 'policy'}", *SEARCH]
    settings = [word for field in fields for word in ("--set", field)]
    assert main(["run", "--preset", "testbed-quick", "--run-dir", str(tmp_path / "run"), *settings]) == 0
    entries = {e["name"]: e for e in json.loads((tmp_path / "run" / "leaderboard.json").read_text())}
    # The base policy as shipped answers 0.37 of the questions: what the search started from is another one.
    assert entries["untrained-base"]["test"]["accuracy"]["value"] > 0.5
    assert entries["top-2"]["test"] is not None
