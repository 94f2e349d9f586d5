"""`reward-search plan`: the least time of a search on a GPU, from nothing but its configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from search.cli import main
from search.config.plan import plan
from search.config.source import load_config
from search.driver.bound import bound, machine_named
from tests.benchmarks.packed_screening import LLAMA_3B


@pytest.fixture
def shape(tmp_path: Path) -> str:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", **LLAMA_3B}), encoding="utf-8")
    return f"base_model={tmp_path}"


def test_the_paper_s_search_is_bound_by_memory_where_it_decodes(shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--preset", "paper", "--set", shape, "--pack", "10", "--prompt-tokens", "160"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("a step of a pack of 10 on h100")
    rows = {line[:26].strip(): line.split() for line in lines[2:-1]}
    assert rows["decoding"][-1] == "memory"
    assert rows["loss and gradients"][-1] == "arithmetic"
    assert max(map(len, lines[:-1])) <= 120


def test_packing_saves_and_a_search_is_the_sum_of_its_parts(shape: str) -> None:
    config = load_config("paper", None, [shape])
    alone, packed = (bound(config, machine_named("h100", config.hardware), members, 160) for members in (1, 10))
    assert packed.search < alone.search / 3
    step = sum(part.seconds(alone.machine) for part in alone.step)
    assert alone.search > plan(config).steps * step
    faster = bound(config, machine_named("h200", config.hardware), 1, 160)
    assert faster.search < alone.search


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--machine", "h10"], "--machine = 'h10' is not listed: did you mean 'h100'"),
        (
            ["--set", "base_model=./nowhere", "--prompt-tokens", "9"],
            "base_model = './nowhere': its shape cannot",
        ),
    ],
)
def test_what_cannot_be_planned_is_one_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--preset", "testbed-quick", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_prompts_are_measured_where_they_are_not_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--preset", "testbed-quick"]) == 0
    assert "s at the least" in capsys.readouterr().out


def test_this_machine_is_measured_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--preset", "testbed-quick", "--machine", "here", "--prompt-tokens", "20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("this machine, measured now: ")
    assert lines[1].startswith("a step of a pack of 1 on here, and its evaluation; prompts of 20 tokens")
