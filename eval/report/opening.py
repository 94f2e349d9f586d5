"""What a report says in sentences: the decisions behind headline, findings, caveats and methods."""

from __future__ import annotations

from collections import Counter
from statistics import fmean
from typing import Any, NamedTuple

from eval.report.comparison import conclusion
from eval.report.data import Entry, ReportData, Scores
from eval.report.ranking import (
    BASE_REWARDS_ONLY,
    candidate_f1,
    control,
    is_random_draw,
    rank_entries,
    ranked_candidates,
    shown_split,
    split_scores,
    stopped_candidates,
    winner,
    winning_members,
)
from eval.report.templates import paragraphs
from eval.statistics.estimate import Estimate
from eval.statistics.unpaired import welch_difference


class RoundChange(NamedTuple):
    """Mean F1 of the first and of the last round with scores."""

    first: int
    last: int
    before: float
    after: float
    estimate: Estimate | None
    """Of the difference, with Welch's interval: a rise is only claimed where it excludes 0."""


def headline(data: ReportData) -> str:
    """One sentence that may stand alone: the winner on the sealed test split, else the furthest the run has come."""
    return paragraphs("headline.txt.j2", **opening_facts(data))[0]


def findings(data: ReportData) -> list[str]:
    """The opening paragraphs: what was done and came out, then how sure one may be of it."""
    return paragraphs("findings.txt.j2", **opening_facts(data))


def caveats(data: ReportData) -> list[str]:
    """What a reader must know before believing a number, one sentence each."""
    return paragraphs("caveats.txt.j2", data=data, run=data.run)


def methods(data: ReportData) -> list[str]:
    """What was done, in paragraphs fit for a paper, from the run's facts alone: search, training, selection and test,
    statistics."""
    return paragraphs(
        "methods.txt.j2",
        data=data,
        run=data.run,
        protocol=data.run.protocol,
        rounds={candidate.round for candidate in data.candidates} | {entry.number for entry in data.rounds},
        counts=Counter(candidate.status for candidate in data.candidates),
        scored=len(ranked_candidates(data)),
        halted=len(stopped_candidates(data)),
        prescreening=next((c.prescreening for c in data.candidates if c.prescreening), None),
        draws=sum(map(is_random_draw, data.entries)),
        shown=next((scores for entry in data.entries for scores in (entry.test, entry.validation) if scores), None),
    )


def opening_facts(data: ReportData) -> dict[str, Any]:
    """What the templates of the opening are written from."""
    best, base, split = winner(data), control(data.entries, BASE_REWARDS_ONLY), shown_split(data)
    ranking = rank_entries(data.entries, data.run.selection_split)
    evidence, picked = data.test_evidence or data.final_evidence, data.final_evidence
    optimism = (picked.seed_optimism or picked.optimism) if picked else None
    return {
        "data": data,
        "run": data.run,
        "best": best,
        "own": split_scores(best, split) if best else None,
        "shown": split,
        "scored_ensembles": [e.name for e in data.entries if e.kind != "control" and (e.validation or e.test)],
        "base": base,
        "screened_base": _scores_of(control(data.baselines, BASE_REWARDS_ONLY), data.run.selection_split),
        "retrained_base": _scores_of(base, data.run.selection_split),
        "gain": difference_of(data, best, base) if best and base and best is not base else None,
        "luck_known": _luck_known(data, split),
        "leader": ranking.ranked[0][1] if ranking.ranked else None,
        "ranked": ranked_candidates(data),
        "members": winning_members(data),
        "change": _change_over_rounds(data),
        "draws": _random_draws(data, split) if best and split_scores(best, split) else [],
        "against": _against_others(data, best) if best else None,
        "evidence": evidence,
        "sure": next((e for e in evidence.entries if best and e.name == best.name), None) if evidence else None,
        "optimism": optimism if optimism and best and optimism.name == best.name else None,
    }


def _scores_of(entry: Entry | None, split: str) -> Scores | None:
    return split_scores(entry, split) if entry else None


def _luck_known(data: ReportData, split: str) -> bool:
    """Whether the intervals of what was trained hold the luck of training."""
    shown = [split_scores(entry, split) for entry in data.entries] or [item.scores for item in data.candidates]
    held = {scores.luck for scores in shown if scores} - {"untrained"}
    return held == {"both"}


def _change_over_rounds(data: ReportData) -> RoundChange | None:
    by_round: dict[int, list[float]] = {}
    for candidate in ranked_candidates(data):
        by_round.setdefault(candidate.round, []).append(candidate_f1(candidate))
    if len(by_round) < 2:
        return None
    first, last = min(by_round), max(by_round)
    before, after = by_round[first], by_round[last]
    return RoundChange(first, last, fmean(before), fmean(after), welch_difference(after, before))


def _random_draws(data: ReportData, split: str) -> list[float]:
    """Their F1."""
    return [
        scores.f1.value
        for entry in data.entries
        if is_random_draw(entry) and not entry.failure and (scores := split_scores(entry, split))
    ]


def _against_others(data: ReportData, best: Entry) -> dict[str, list[str]] | None:
    """Names of the other entries by how their pairwise test with the winner came out; None where there is none."""
    if data.pairwise is None:
        return None
    found: dict[str, list[str]] = {"different": [], "equivalent": [], "open": []}
    for test in data.pairwise.tests:
        if best.name in (test.first, test.second):
            other = test.second if test.first == best.name else test.first
            found[conclusion(test, data.pairwise.level, data.pairwise.margin).split(",")[0]].append(other)
    return found if any(found.values()) else None


def difference_of(data: ReportData, first: Entry, second: Entry) -> Estimate | None:
    """Accuracy of the first minus that of the second on the shown split: over seeds where there are several."""
    if data.pairwise is None or data.pairwise.split != shown_split(data):
        return None
    wanted = {first.name, second.name}
    test = next((test for test in data.pairwise.tests if {test.first, test.second} == wanted), None)
    if test is None:
        return None
    difference = test.seeds_difference or test.difference
    if test.second == first.name:
        return difference._replace(value=-difference.value, low=-difference.high, high=-difference.low)
    return difference
