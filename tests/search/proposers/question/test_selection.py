"""Which sources are shown: unlike each other, and failures of unlike kinds."""

from __future__ import annotations

from dataclasses import replace

from eval.prescreening import prescreening
from eval.report.data import Flag
from eval.statistics.estimate import Estimate
from search.proposers.base import Feedback, ProposedCandidate, RankedCandidate
from search.proposers.question.evidence import CurvePoint, Reference, ReferenceScore, Training
from search.proposers.question.selection import drawn, lessons, middle, unlike
from tests.search.proposers.examples import code, failed, ranked

ROWS = [ranked(f"c{n}", code(n), 0.9 - n / 100) for n in range(10)]


def feedback(**changes: RankedCandidate) -> Feedback:
    return Feedback("ranked", tuple(changes.get(row.name, row) for row in ROWS))


def names(found: Feedback, count: int, reference: Reference | None = None) -> list[str]:
    return [lesson.candidate.name for lesson in lessons(found, found.ranked[:2], count, reference)]


def agreeing(share: float) -> RankedCandidate:
    figure = Estimate(share, share, share, 9, 0.95, "test")
    return replace(ROWS[0], prescreening=prescreening([], [], [], 4).model_copy(update={"preference": figure}))


def test_near_copies_do_not_stand_beside_each_other() -> None:
    copies = [replace(ROWS[n], alike=frozenset({"c0", "c1", "c2"}) - {f"c{n}"}) for n in range(3)]
    assert [item.name for item in unlike([*copies, *ROWS[3:]], 3)] == ["c0", "c3", "c4"]
    assert [item.name for item in unlike(copies, 3)] == ["c0"]


def test_high_agreement_before_training_and_a_low_score_after_it_is_a_lesson() -> None:
    found = feedback(
        c2=replace(ROWS[2], prescreening=agreeing(0.95).prescreening),
        c7=replace(ROWS[7], prescreening=agreeing(0.9).prescreening),
        c8=replace(ROWS[8], prescreening=agreeing(0.5).prescreening),
    )
    [lesson] = lessons(found, found.ranked[:2], 1, None)
    assert (lesson.candidate.name, lesson.place) == ("c7", 8)
    assert "in 90% of pairs" in lesson.reason
    adding_nothing = ReferenceScore("base rewards only", 0.89, (0, 1), 0.8, (0, 1), 1.0, 30.0, 3, True)
    reference = Reference(2, 1, 5, 2, 2, 16, 40, (adding_nothing,))
    [lesson] = lessons(found, found.ranked[:2], 1, reference)
    assert lesson.candidate.name == "c2"  # in the upper half, yet worse than adding nothing
    assert "the base rewards alone have 0.890" in lesson.reason


def test_a_fall_in_training_and_signs_of_hacking_are_lessons() -> None:
    falling = Training(tuple(CurvePoint(n, n, 1.0, 1.0, accuracy, 9.0) for n, accuracy in enumerate((0.3, 0.6, 0.4))))
    found = feedback(
        c4=replace(ROWS[4], training=falling),
        c5=replace(ROWS[5], flags=(Flag(name="padding", detail="longer by 30 tokens"),)),
    )
    assert names(found, 3) == ["c4", "c5", "c9"]
    first, second, third = lessons(found, found.ranked[:2], 3, None)
    assert "fell by 0.20" in first.reason
    assert second.reason == "Signs of reward hacking: padding (longer by 30 tokens)."
    assert third.reason == "F1 0.810, at the end of the table."


def test_rejections_for_the_same_reason_are_told_once_the_latest_first() -> None:
    rejected = [
        replace(failed("old", code(20), "policy: `os` is not allowed (line 1)"), round=1),
        replace(failed("constant", code(21), "constant: 100 % of 9"), round=2),
        replace(failed("new", code(22), "policy: `sys` is not allowed (line 7)"), round=3),
        replace(failed("copy", code(23), "near-duplicate"), round=3, duplicate=True),
    ]
    found = replace(feedback(), failed=tuple(rejected))
    assert names(found, 4) == ["new", "constant", "c9", "c8"]


def test_nothing_is_shown_twice_and_no_more_than_there_is() -> None:
    found = feedback(c9=replace(ROWS[9], prescreening=agreeing(0.9).prescreening, alike=frozenset({"c8"})))
    assert names(found, 20) == ["c9", "c7", "c6", "c5", "c4", "c3", "c2"]
    assert lessons(Feedback("ranked"), [], 4, None) == []


def test_the_middle_of_the_ranking() -> None:
    found = middle(feedback(), ["c4"])
    assert found is not None
    assert found.name == "c5"
    assert middle(Feedback("ranked"), []) is None


def test_sources_are_drawn_by_chance_where_nothing_is_told() -> None:
    proposed = [ProposedCandidate(f"c{n}", None, 1, code(n), alike=frozenset({f"c{n ^ 1}"})) for n in range(12)]
    first = [item.name for item in drawn(proposed, 3, 1)]
    assert first == [item.name for item in drawn(proposed, 3, 1)]
    assert len({tuple(item.name for item in drawn(proposed, 3, seed)) for seed in range(9)}) > 1
    assert len(drawn(proposed, 12, 1)) == 6  # one of each pair
