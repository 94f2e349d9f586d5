"""What a report says of the winner under other settings."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from eval.prediction import Prediction
from eval.report.data import Entry
from eval.report.scores import Runs
from eval.report.transfer import format_transfer, transfer_scores, transfer_sentence, verdict
from eval.statistics.luck import difference_for_both, pooled_seed_variance

QUESTIONS = 200


def runs(*accuracies: float) -> Runs:
    """One run per accuracy, right on questions drawn by its place."""
    found = {}
    for seed, accuracy in enumerate(accuracies):
        right = np.random.default_rng(seed).permutation(QUESTIONS) < accuracy * QUESTIONS
        found[seed] = [
            Prediction(
                id=str(k),
                completion="",
                strict="1",
                flexible="1",
                correct=bool(value),
                correct_flexible=bool(value),
                completion_tokens=5,
            )
            for k, value in enumerate(right)
        ]
    return found


@pytest.mark.parametrize(
    ("winner", "control", "said"),
    [
        ((0.8, 0.82, 0.81), (0.4, 0.42, 0.41), "holds"),
        ((0.4, 0.42, 0.41), (0.8, 0.82, 0.81), "reverses"),
        ((0.5, 0.3, 0.7), (0.4, 0.6, 0.5), "not shown"),
    ],
)
def test_a_lead_holds_only_with_the_whole_interval_on_its_side(
    winner: tuple[float, ...], control: tuple[float, ...], said: str
) -> None:
    found = transfer_scores("loss dapo", runs(*winner), runs(*control), None)
    assert found.difference is not None
    assert found.difference.value == pytest.approx(np.mean(winner) - np.mean(control))
    assert found.difference.low < found.difference.value < found.difference.high
    assert found.luck == "setting"
    assert verdict(found) == said
    assert said.split()[-1] in transfer_sentence(found, "top-3")


def test_the_variance_is_of_the_setting_where_it_has_one_and_else_of_the_search() -> None:
    luck = pooled_seed_variance([[[1, 0, 1, 1], [0, 0, 1, 0]]])
    assert luck is not None
    single = transfer_scores("loss dapo", runs(0.8), runs(0.4), luck)
    assert single.luck == "search"
    right = [np.array([[p.correct for p in side[0]]]) for side in (runs(0.8), runs(0.4))]
    assert single.difference == difference_for_both(right[0], right[1], luck).estimate
    assert "variance between seeds of the search" in transfer_sentence(single, "top-3")
    assert transfer_scores("loss dapo", runs(0.8, 0.7), runs(0.4), luck).luck == "setting"


def test_single_runs_of_a_search_without_repeats_show_no_lead() -> None:
    found = transfer_scores("loss dapo", runs(0.9), runs(0.2), None)
    assert found.luck == "questions"
    assert found.difference is not None
    assert found.difference.low > 0
    assert verdict(found) == "not shown"
    assert "nothing was trained twice" in transfer_sentence(found, "top-3")


def test_what_failed_is_unscored_with_its_reason() -> None:
    found = transfer_scores("loss dapo", runs(0.9), {}, None, "base-rewards-only: it diverged")
    assert found.control is None
    assert found.difference is None
    assert "it diverged" in transfer_sentence(found, "top-3")
    entry = Entry(name="top-3", kind="ensemble", winner=True, transfer=(found,))
    forms: tuple[Literal["table", "md"], ...] = ("table", "md")
    for form in forms:
        shown = format_transfer([entry], form)
        assert "loss dapo" in shown
        assert "0.900" in shown
    assert format_transfer([Entry(name="top-3", kind="ensemble", winner=True)], "table") == ""


def test_a_single_question_tells_nothing() -> None:
    one = {seed: answers[:1] for seed, answers in runs(0.9, 0.8).items()}
    found = transfer_scores("loss dapo", one, one, None)
    assert found.difference is None
    assert "a single question" in transfer_sentence(found, "top-3")
