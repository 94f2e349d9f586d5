"""Curves at five points, and late completions of both kinds, from the result of a run."""

from __future__ import annotations

from typing import Any

import pytest

from eval.tasks.registry import build_task
from search.config.source import parse_config
from search.ledger import Candidate
from search.results.ranking import Outcome
from search.rounds.training import training
from tests.search.searches import small_config

CONFIG = parse_config(small_config())
TASK = build_task(CONFIG.task)


def outcome(result: dict[str, Any] | None) -> Outcome:
    candidate = Candidate("mine", 1, 0, "id", "code", "test", "", "other", ())
    return Outcome(candidate, "screened", None, (), None, result)


def curves(steps: int) -> list[dict[str, Any]]:
    return [
        {
            "step": step,
            "reward_mean": float(step),
            "rewards": {"mine": {"mean": step / 10}, "answer_check": {"mean": 9.0}},
            "accuracy": step / 100,
            "completion_tokens": 100.0 - step,
        }
        for step in range(1, steps + 1)
    ]


def sample(step: int, answer: str, reasoning: str = "") -> dict[str, Any]:
    return {
        "step": step,
        "prompt": "How much?",
        "completion": f"<thinking>{reasoning}</thinking><solution>{answer}</solution>",
        "answer": "7",
        "scores": {"mine": 0.5, "answer_check": 3.0, "another": 1.0},
        "total": 3.5,
    }


def test_a_curve_has_five_points_that_are_means() -> None:
    found = training(outcome({"curves": curves(30), "samples": []}), CONFIG, TASK)
    assert found is not None
    assert [(point.first_step, point.last_step) for point in found.curve] == [
        (1, 6),
        (7, 12),
        (13, 18),
        (19, 24),
        (25, 30),
    ]
    assert [point.reward for point in found.curve] == [3.5, 9.5, 15.5, 21.5, 27.5]
    assert found.curve[0].component == pytest.approx(0.35)
    assert found.curve[-1].accuracy == pytest.approx(0.275)
    assert found.curve[-1].completion_tokens == 72.5


def test_a_short_curve_has_as_many_points_as_steps_and_gaps_stay_gaps() -> None:
    steps = curves(3)
    del steps[1]["accuracy"]
    steps[2]["rewards"] = {}
    found = training(outcome({"curves": steps, "samples": []}), CONFIG, TASK)
    assert found is not None
    assert [point.first_step for point in found.curve] == [1, 2, 3]
    assert [point.accuracy for point in found.curve] == [0.01, None, 0.03]
    assert found.curve[2].component is None
    assert found.fall == 0.0


def test_late_completions_are_of_both_kinds_the_latest_first_and_judged_by_the_task() -> None:
    samples = [sample(step, "7" if step % 2 else "8", str(step)) for step in range(20)] + [sample(20, "7", "19")]
    found = training(outcome({"samples": samples}), CONFIG, TASK)
    assert found is not None
    assert [(one.step, one.right) for one in found.late] == [
        (20, True),
        (18, False),
        (17, True),
        (16, False),
        (15, True),
        (14, False),
        (13, True),
        (12, False),
    ]
    assert found.late[0].scores == (("answer_check", 3.0), ("candidate", 0.5))


def test_what_was_not_trained_has_none() -> None:
    assert training(outcome(None), CONFIG, TASK) is None
