"""What the study's report says of records made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from eval.report.study.data import StudyReport
from eval.report.study.text import comparison_rows
from search.config.source import load_config
from search.study.base import Results
from search.study.feedback.records import EntryRecord, Figures, FinalsRecord, SearchRecord
from search.study.feedback.study import ARMS, FeedbackStudy
from tests.search.study.test_records import candidate


def config(*assignments: str) -> Any:
    _, own = FeedbackStudy.presets["quick"]
    return load_config("testbed", None, [*own, *assignments])


def feedback_report(chosen: Any, size: Any, seeds: range, found: Results) -> StudyReport:
    return FeedbackStudy(size, len(seeds), chosen).report(found)


def results(last: dict[str, list[float | None]]) -> dict[str, SearchRecord | FinalsRecord]:
    """A search per arm and seed: two candidates at 0.5 in round 1, one in round 2."""
    found: dict[str, SearchRecord | FinalsRecord] = {}
    none = Figures(f1=None, accuracy=None)
    for arm, values in ({"independent": LOW} | last).items():
        for seed, value in enumerate(values):
            candidates = (candidate("a", 1, 0.5), candidate("b", 1, 0.5), candidate("c", 2, value, "a"))
            found[f"seed-{seed}-{arm}"] = SearchRecord(
                seed=seed, feedback=arm, candidates=candidates, base_only=none, untrained=none
            )
    return found


FIVE = range(5)
HIGH: list[float | None] = [0.7, 0.72, 0.69, 0.71, 0.73]
LOW: list[float | None] = [0.5, 0.51, 0.5, 0.49, 0.52]


def test_a_difference_from_both_is_said_to_be_the_rankings() -> None:
    report = feedback_report(config(), "full", FIVE, results({"ranked": HIGH, "none": LOW, "shuffled": LOW}))
    assert report.headline.startswith("The claim held here, feedback raised the last round: +0.206 [")
    assert "The ranking itself matters" in report.headline
    assert report.complete


def test_the_simple_baseline_stands_in_the_headline() -> None:
    lower = feedback_report(config(), "full", FIVE, results(dict.fromkeys(ARMS, LOW) | {"independent": HIGH}))
    assert "from the first question alone, −0.206 [" in lower.headline
    assert lower.headline.endswith("(lower).")
    same = feedback_report(config(), "full", FIVE, results(dict.fromkeys(ARMS, LOW)))
    assert same.headline.endswith("(not shown to differ).")


def test_a_difference_from_none_alone_is_not() -> None:
    report = feedback_report(config(), "full", FIVE, results({"ranked": HIGH, "none": LOW, "shuffled": HIGH}))
    assert "raised" in report.headline
    assert "not shown" in report.headline


def test_a_lower_last_round_is_said_to_be_lower() -> None:
    report = feedback_report(config(), "full", FIVE, results({"ranked": LOW, "none": HIGH, "shuffled": LOW}))
    assert "lowered" in report.headline


def test_an_open_outcome_names_what_would_have_been_found() -> None:
    noisy: list[float | None] = [0.3, 0.8, 0.5, 0.6, 0.4]
    report = feedback_report(config(), "full", FIVE, results({"ranked": HIGH, "none": noisy, "shuffled": LOW}))
    detectable = report.families[0].comparisons[0].detectable
    assert "is not shown by 5 pairs" in report.headline
    assert f"{detectable:.2f}" in report.headline


def test_a_difference_beyond_the_possible_is_not_promised() -> None:
    found = results({"ranked": [0.9, 0.1], "none": [0.2, 0.3], "shuffled": [0.4, 0.4]})
    report = feedback_report(config(), "quick", range(2), found)
    assert "no possible difference" in report.headline
    assert comparison_rows(report.families[0], 0.05)[0][6] == "> 1"


def test_arms_that_do_not_differ_claim_no_power() -> None:
    report = feedback_report(config(), "full", FIVE, results(dict.fromkeys(ARMS, LOW)))
    assert "+0.000 (the same in every pair)" in report.headline
    assert "power" not in report.headline


def test_a_search_without_a_scored_last_round_takes_its_pair_out() -> None:
    report = feedback_report(
        config(), "full", FIVE, results({"ranked": [None, *HIGH[1:]], "none": LOW, "shuffled": LOW})
    )
    estimate = report.families[0].comparisons[0].estimate
    assert estimate is not None
    assert estimate.n == 4
    assert report.complete


def test_searches_to_come_are_missing_and_not_zero() -> None:
    found = results({"ranked": HIGH[:3], "none": LOW[:2], "shuffled": []})
    report = feedback_report(config(), "full", FIVE, found)
    assert not report.complete
    assert report.families[0].comparisons[0].estimate is not None
    assert report.families[0].comparisons[0].estimate.n == 2
    assert report.families[0].comparisons[1].estimate is None
    assert "Too few" in feedback_report(config(), "full", FIVE, {}).headline


@pytest.mark.parametrize(("seeds", "warned"), [(5, True), (6, True), (7, False)])
def test_a_test_that_cannot_decide_is_called_so(seeds: int, warned: bool) -> None:
    report = feedback_report(config(), "full", range(seeds), {})
    assert any("cannot decide at 0.05" in caveat for caveat in report.caveats) == warned


def test_the_proposer_that_is_tested_is_named() -> None:
    assert any("proposer `evolve`" in caveat for caveat in feedback_report(config(), "full", FIVE, {}).caveats)
    other = feedback_report(config("proposer.name=a:B"), "full", FIVE, {})
    assert any("proposer `a:B` alone" in caveat for caveat in other.caveats)
    assert not any("evolve" in caveat for caveat in other.caveats)


def test_a_random_draw_without_a_score_leaves_no_mean_of_draws() -> None:
    def entry(name: str, kind: str, control: str | None, f1: float | None) -> EntryRecord:
        return EntryRecord(name=name, kind=kind, control=control, members=(), failure=None, f1=f1, accuracy=None)

    chosen = config("finals.random_controls.pool=2")
    found = results(dict.fromkeys(ARMS, LOW))
    for seed in FIVE:
        second = None if seed == 0 else 0.4
        entries = (
            entry("top-2", "ensemble", None, 0.6),
            entry("random-pool-1", "control", "random draw 1 of 2 from all rounds", 0.5),
            entry("random-pool-2", "control", "random draw 2 of 2 from all rounds", second),
        )
        found[f"seed-{seed}-controls"] = FinalsRecord(seed=seed, entries=entries)
    (comparison,) = feedback_report(chosen, "full", FIVE, found).families[2].comparisons
    assert comparison.differences == pytest.approx((None, 0.15, 0.15, 0.15, 0.15))
