"""Figures of one search, from records made by hand."""

from __future__ import annotations

import pytest

from search.study.feedback.records import CandidateRecord, measures


def candidate(name: str, number: int, f1: float | None, *parents: str, origin: str = "mutation") -> CandidateRecord:
    return CandidateRecord(
        name=name,
        identity=name,
        round=number,
        origin=origin,
        family="",
        parents=parents,
        status="rejected" if f1 is None else "screened",
        f1=f1,
        accuracy=None if f1 is None else f1 / (2 - f1),
    )


CANDIDATES = [
    candidate("a", 1, 0.4, origin="library"),
    candidate("b", 1, 0.6, origin="library"),
    candidate("c", 1, None, origin="library"),
    candidate("d", 2, 0.8, "b"),
    candidate("e", 2, 0.5, "a", "b", origin="crossover"),
    candidate("f", 2, None, "c"),
    candidate("g", 3, 0.7, "d"),
    candidate("h", 3, 0.2, "elsewhere"),
]


def test_means_are_over_scored_candidates_alone() -> None:
    found = measures(CANDIDATES, 3)
    assert found.by_round_f1 == pytest.approx((0.5, 0.65, 0.45))
    assert found.by_round_accuracy[0] == pytest.approx((0.4 / 1.6 + 0.6 / 1.4) / 2)
    assert found.best_f1 == 0.8
    assert (found.later, found.scored_later) == (5, 4)
    assert found.origins == {"mutation": 4, "crossover": 1}


def test_parents_lead_over_what_was_scored_when_they_were_chosen() -> None:
    # d: 0.6 over 0.5; e: both parents, 0.5 over 0.5; g: 0.8 over the mean of four, 0.575. c has no score, so f counts
    # no parent, and the parent of h is of another search.
    found = measures(CANDIDATES, 3)
    assert found.with_scored_parent == 3
    assert found.parents_lead == pytest.approx((0.1 + 0.0 + 0.225) / 3)


def test_a_round_without_a_score_has_no_mean() -> None:
    found = measures([candidate("a", 1, None), candidate("b", 2, None, "a")], 2)
    assert found.by_round_f1 == (None, None)
    assert (found.best_f1, found.parents_lead) == (None, None)
