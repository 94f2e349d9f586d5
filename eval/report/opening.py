"""What a report says in sentences: the decisions behind headline, findings, caveats and methods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil
from statistics import fmean
from typing import Any, NamedTuple

from eval.report.comparison import conclusion
from eval.report.data import Entry, ReportData, Scores
from eval.report.habits import family_means, habits
from eval.report.ranking import (
    BASE_REWARDS_ONLY,
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

MOST_MEMBERS = 5
"""Of the winner, told in words."""
MOST_SEEDS = 30
"""Beyond which more seeds are no advice."""


class Finding(NamedTuple):
    """A paragraph of the opening, with what it answers."""

    label: str
    text: str


class RoundChange(NamedTuple):
    """Mean accuracy of the first and of the last round with scores."""

    first: int
    last: int
    before: float
    after: float
    estimate: Estimate | None
    """Of the difference, with Welch's interval: a rise is only claimed where it excludes 0."""


def headline(data: ReportData) -> str:
    """One sentence that may stand alone: the winner on the sealed test split against the base rewards alone, else the
    furthest the run has come, with whatever decides how far that may be believed."""
    return paragraphs("headline.txt.j2", **opening_facts(data))[0]


def findings(data: ReportData) -> list[Finding]:
    """What won in words, how sure that is, what made it so, what the search was and what it cost."""
    facts = {**opening_facts(data), "first_sentence": _first_sentence, "MOST_MEMBERS": MOST_MEMBERS}
    said = paragraphs("findings.txt.j2", **facts)
    parts = [paragraph.partition("|") for paragraph in said]
    return [Finding(label.strip(), words.strip()) for label, _, words in parts if words.strip()]


def next_steps(data: ReportData) -> list[str]:
    """What to do now, the first thing first; commands and settings stand between backticks."""
    facts = opening_facts(data)
    gain = facts["gain"]
    needed = seeds_to_show(data.luck.deviation, gain.value) if data.luck and gain and gain.value else None
    more = min(max(needed, 3), MOST_SEEDS) if needed else None
    return paragraphs("next.txt.j2", needed=needed, more_seeds=more, MOST_SEEDS=MOST_SEEDS, **facts)


def seeds_to_show(deviation: float, difference: float) -> int:
    """Runs of each of two recipes with which a difference of their means is found with 80 % power at the 5 % level,
    where runs differ by `deviation` and questions add nothing: 2 (1.96 + 0.84)^2 s^2 / d^2 (normal approximation)."""
    return ceil(2 * (1.96 + 0.84) ** 2 * deviation**2 / difference**2)


def _first_sentence(text: str, longest: int = 110) -> str:
    words = " ".join(text.replace("|", " ").split())
    first = words.split(". ")[0].rstrip(".")
    return first if len(first) <= longest else first[:longest].rsplit(" ", 1)[0] + " …"


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
    against = _against_others(data, best) if best else None
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
        "luck_known": _luck_known(data, split, [best, base] if best and base else data.entries),
        "all_known": _luck_known(data, split, data.entries),
        "leader": ranking.ranked[0][1] if ranking.ranked else None,
        "ranked": ranked_candidates(data),
        "members": winning_members(data),
        "winning": [c for c in ranked_candidates(data) if best and c.name in best.members],
        "found": habits(data),
        "family_rows": family_means(data),
        "change": _change_over_rounds(data),
        "draws": _random_draws(data, split) if best and split_scores(best, split) else [],
        "against": against,
        "untold": [
            e.name for e in data.entries if is_random_draw(e) and against and e.name not in against["different"]
        ],
        "evidence": evidence,
        "sure": next((e for e in evidence.entries if best and e.name == best.name), None) if evidence else None,
        "optimism": optimism if optimism and best and optimism.name == best.name else None,
    }


def _scores_of(entry: Entry | None, split: str) -> Scores | None:
    return split_scores(entry, split) if entry else None


def _luck_known(data: ReportData, split: str, entries: Sequence[Entry]) -> bool:
    """Whether the intervals of what was trained, of these entries or else of the candidates, hold the luck of
    training."""
    shown = [split_scores(entry, split) for entry in entries] or [item.scores for item in data.candidates]
    held = {scores.luck for scores in shown if scores} - {"untrained"}
    return held == {"both"}


def _change_over_rounds(data: ReportData) -> RoundChange | None:
    by_round: dict[int, list[float]] = {}
    for candidate in ranked_candidates(data):
        if candidate.scores:
            by_round.setdefault(candidate.round, []).append(candidate.scores.accuracy.value)
    if len(by_round) < 2:
        return None
    first, last = min(by_round), max(by_round)
    before, after = by_round[first], by_round[last]
    return RoundChange(first, last, fmean(before), fmean(after), welch_difference(after, before))


def _random_draws(data: ReportData, split: str) -> list[float]:
    """Their accuracy."""
    return [
        scores.accuracy.value
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
