"""The example of an executor of one's own: it conforms, and a search with it comes to its leaderboard."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from examples.executor_of_ones_own import ThreadPoolOfProcesses
from search.executors.conformance import check_executor
from tests.search.searches import run_search, small_config

TINY = {
    "search": {"rounds": 1, "candidates_per_round": 2, "base_rollouts": {"questions": 8, "per_question": 2}},
    "screening": {
        **small_config()["screening"],
        "questions": 8,
        "grpo": {**small_config()["screening"]["grpo"], "steps": 1, "max_completion_tokens": 96},
    },
    "finals": {
        "ensembles": ["top-2"],
        "seeds": 1,
        "random_controls": {"first_round": 0, "pool": 0},
        "base_only": False,
        "test_questions": 8,
    },
    "hardware": {"device": "cpu"},
}
"""Real jobs, as few and as small as they can be."""


@pytest.mark.slow
def test_it_does_all_that_an_executor_has_to_do() -> None:
    check_executor(ThreadPoolOfProcesses)


@pytest.mark.slow
def test_it_runs_a_search_to_the_leaderboard(tmp_path: Path) -> None:
    executor = {"name": "examples.executor_of_ones_own:ThreadPoolOfProcesses", "parallel_jobs": 2}
    code, run = run_search(tmp_path, executor=executor, **TINY)
    assert code == 0
    names = [entry["name"] for entry in json.loads((run / "leaderboard.json").read_text(encoding="utf-8"))]
    assert "top-2" in names


def test_it_is_short() -> None:
    lines = inspect.getsource(ThreadPoolOfProcesses).splitlines()
    assert len(lines) < 60
