"""What the next round is told: the truth, nothing, or a table whose scores belong to others."""

from __future__ import annotations

from dataclasses import replace

from eval.prescreening import prescreening
from eval.report.data import Scores
from eval.statistics.estimate import Estimate
from search.ledger import Candidate
from search.results.ranking import Outcome
from search.rounds.feedback import build_feedback


def outcome(number: int, accuracy: float | None) -> Outcome:
    candidate = Candidate(f"c{number}", 1, number, f"id{number}", f"code {number}", "test", "", "format", parents=())
    if accuracy is None:
        return Outcome(candidate, "rejected", None, ("too constant",), None, None)
    estimate = Estimate(accuracy, accuracy - 0.1, accuracy + 0.1, 50, 0.95, "test")
    f1 = replace_value(estimate, 2 * accuracy / (1 + accuracy))
    scores = Scores(
        n=50, seeds=(1,), accuracy=estimate, f1=f1, extraction_rate=estimate, mean_completion_tokens=100 * accuracy
    )
    result = {"rewards": [{"name": f"c{number}", "firing_rate": accuracy}]}
    figures = prescreening([], [], [], 4).model_copy(update={"auc": estimate})
    return Outcome(candidate, "screened", scores, (), None, result, figures)


def replace_value(estimate: Estimate, value: float) -> Estimate:
    return estimate._replace(value=value)


def row_accuracy(value: float) -> Estimate:
    return Estimate(value, value - 0.1, value + 0.1, 50, 0.95, "test")


EVERY = [outcome(k, accuracy) for k, accuracy in enumerate([0.3, None, 0.5, 0.4, 0.5, 0.1, 0.2, None])]


def test_ranked_is_best_first_with_failures_apart() -> None:
    feedback = build_feedback("ranked", EVERY, 1)
    assert [row.name for row in feedback.ranked] == ["c2", "c4", "c3", "c0", "c6", "c5"]
    assert [row.accuracy for row in feedback.ranked] == [0.5, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert all(row.prescreening and row.prescreening.auc == row_accuracy(row.accuracy) for row in feedback.ranked)
    assert [(row.name, row.reasons) for row in feedback.failed] == [
        ("c1", ("too constant",)),
        ("c7", ("too constant",)),
    ]


def test_duplicates_are_told_apart_from_failures() -> None:
    matched = replace(outcome(8, None), status="duplicate", reasons=("near-duplicate: like 'c2'",))
    feedback = build_feedback("ranked", [*EVERY, matched], 1)
    assert "c8" not in [row.name for row in feedback.ranked]
    assert [row.name for row in feedback.failed if row.duplicate] == ["c8"]


def stopped_at(rung: int, number: int, accuracy: float) -> Outcome:
    full = outcome(number, accuracy)
    return replace(full, status="stopped", scores=None, rung=rung, rung_scores=full.scores, reasons=("stopped",))


STOPPED = [stopped_at(2, 20, 0.9), stopped_at(4, 21, 0.2), stopped_at(4, 22, 0.3)]


def test_those_stopped_at_a_rung_stand_apart_the_longest_trained_first() -> None:
    feedback = build_feedback("ranked", [*EVERY, *STOPPED], 1)
    assert feedback.ranked == build_feedback("ranked", EVERY, 1).ranked
    assert [(row.name, row.stopped_after, row.accuracy) for row in feedback.stopped] == [
        ("c22", 4, 0.3),
        ("c21", 4, 0.2),
        ("c20", 2, 0.9),
    ]
    assert [row.name for row in feedback.failed] == ["c1", "c7"]
    assert {"c0", "c1", "c20"} < feedback.names


def test_shuffled_does_not_tell_who_was_stopped() -> None:
    truth = build_feedback("ranked", [*EVERY, *STOPPED], 1)
    names = {row.name for row in (*truth.ranked, *truth.stopped)}
    told = set()
    for seed in range(20):
        shuffled = build_feedback("shuffled", [*EVERY, *STOPPED], seed)
        assert [(row.f1, row.stopped_after) for row in shuffled.stopped] == [
            (row.f1, row.stopped_after) for row in truth.stopped
        ]
        assert {row.name for row in (*shuffled.ranked, *shuffled.stopped)} == names
        told |= {row.name for row in shuffled.stopped}
    assert told == names


def test_none_says_nothing() -> None:
    feedback = build_feedback("none", [*EVERY, *STOPPED], 1)
    assert (feedback.ranked, feedback.failed, feedback.stopped) == ((), (), ())


def test_shuffled_has_the_same_figures_under_other_candidates() -> None:
    truth, shuffled = build_feedback("ranked", EVERY, 1), build_feedback("shuffled", EVERY, 1)
    assert [row.f1 for row in shuffled.ranked] == [row.f1 for row in truth.ranked]
    assert sorted(row.name for row in shuffled.ranked) == sorted(row.name for row in truth.ranked)
    # What was measured before training tells as much of a candidate as what was measured after it.
    assert [row.prescreening for row in shuffled.ranked] == [row.prescreening for row in truth.ranked]
    by_name = {row.name: row for row in truth.ranked}
    assert any(by_name[row.name].f1 != row.f1 for row in shuffled.ranked)
    for row in shuffled.ranked:
        own = by_name[row.name]
        assert (row.code, row.identity) == (own.code, own.identity)
        figures = next(other for other in truth.ranked if other.f1 == row.f1 and other.firing_rate == row.firing_rate)
        assert row == replace(
            figures, name=own.name, identity=own.identity, code=own.code, round=own.round, family=own.family
        )
    assert shuffled == build_feedback("shuffled", EVERY, 1)
    assert shuffled != build_feedback("shuffled", EVERY, 2)
