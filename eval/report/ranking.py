"""Who stands where in a report: the winner, the controls, entries and candidates with and without a rank."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, Protocol

from eval.metrics import f1_of_accuracy
from eval.report.data import Candidate, Entry, ReportData, Scores

BASE_REWARDS_ONLY = "base rewards only"
UNTRAINED_BASE = "untrained base"
"""Values of `Entry.control` that the report knows and compares with."""

RankingSplit = Literal["validation", "test"]


class Ranking(NamedTuple):
    ranked: tuple[tuple[int, Entry], ...]
    """Rank and entry, in the order of `ranking_key`."""
    apart: tuple[Entry, ...]
    """Scored, but not comparable with the others."""
    unscored: tuple[Entry, ...]

    @property
    def scored(self) -> list[tuple[int | None, Entry]]:
        """With ranks; those listed apart have none."""
        return [*self.ranked, *((None, entry) for entry in self.apart)]

    @property
    def ordered(self) -> list[Entry]:
        return [*(entry for _, entry in self.scored), *self.unscored]


class Named(Protocol):
    """Something that can be ranked: a candidate, or an entry of the leaderboard."""

    @property
    def name(self) -> str: ...

    @property
    def round(self) -> int | None: ...


def ranking_key(scores: Scores | None, who: Named) -> tuple[float, bool, float, int, str]:
    """The sort key of all that a search ranks, wherever it is shown: the higher F1 stands first; of equal ones the
    winner that was named, then the higher accuracy, then the earlier round, then the name. Without scores it is last.

    What was proposed in no round, such as a control, stands before the first. Shares are compared to 12 decimals, so
    that the order in which a mean was added up decides nothing.
    """
    f1, accuracy = (ranking_f1(scores), round(scores.accuracy.value, 12)) if scores else (-1.0, -1.0)
    return -f1, not (isinstance(who, Entry) and who.winner), -accuracy, who.round or 0, who.name


def ranking_f1(scores: Scores) -> float:
    """The F1 that ranks: of the shrunken accuracy where there is one."""
    shrunken = scores.shrunken_accuracy
    return round(scores.f1.value if shrunken is None else f1_of_accuracy(shrunken), 12)


def shared_ranks(ordered: Iterable[Scores | None]) -> list[int]:
    """Ranks, from 1 on, in the order of `ranking_key`; equal F1 shares a rank, the next one counts on."""
    f1 = [ranking_f1(scores) if scores else None for scores in ordered]
    return [f1.index(value) + 1 for value in f1]


def rank_entries(entries: Sequence[Entry], split: RankingSplit = "validation") -> Ranking:
    """Ranks by F1 on the split. What failed or has no scores there is listed, never ranked."""
    shown = [(entry, None if entry.failure is not None else split_scores(entry, split)) for entry in entries]
    unscored = tuple(entry for entry, scores in shown if scores is None)
    scored = sorted((e for e, scores in shown if scores), key=lambda e: ranking_key(split_scores(e, split), e))
    comparable = [entry for entry in scored if entry.listed_apart is None]
    ranks = shared_ranks(split_scores(entry, split) for entry in comparable)
    apart = tuple(entry for entry in scored if entry.listed_apart is not None)
    return Ranking(tuple(zip(ranks, comparable, strict=True)), apart, unscored)


def winner(data: ReportData) -> Entry | None:
    """The entry named on validation; None while there is none, or if it could not be scored."""
    return next((e for e in data.entries if e.winner and e.failure is None), None)


def control_words(entry: Entry) -> str:
    """Which control an entry is, where its name does not say so."""
    words = entry.control or ""
    return "" if words == entry.name.replace("-", " ") else words


def winning_members(data: ReportData) -> set[str]:
    """Names of the candidates that the winner is made of."""
    best = winner(data)
    return set(best.members) if best else set()


def split_scores(entry: Entry, split: str) -> Scores | None:
    return entry.test if split == "test" else entry.validation


def shown_split(data: ReportData) -> RankingSplit:
    """Test once any entry has figures there."""
    return "test" if any(entry.test for entry in data.entries if entry.failure is None) else "validation"


def anchors(data: ReportData) -> dict[int, str]:
    """By `id` of a candidate, since names and identities may come twice: where its section is on the page."""
    return {id(candidate): f"candidate-{k}" for k, candidate in enumerate(data.candidates, start=1)}


def control(entries: Sequence[Entry], name: str) -> Entry | None:
    return next((e for e in entries if e.control == name and e.failure is None), None)


def is_random_draw(entry: Entry) -> bool:
    return entry.control is not None and "random" in entry.control


def ranked_candidates(data: ReportData) -> list[Candidate]:
    """Screened candidates with scores, in the order of `ranking_key`. Nothing else is ranked."""
    scored = [c for c in data.candidates if c.status == "screened" and c.scores is not None]
    return sorted(scored, key=lambda c: ranking_key(c.scores, c))


def stopped_candidates(data: ReportData) -> list[Candidate]:
    """Stopped at a rung, the longest trained first: scores of one rung stand together."""
    found = [c for c in data.candidates if c.status == "stopped" and c.rung_scores is not None]
    return sorted(found, key=lambda c: (-(c.rung or 0), ranking_key(c.rung_scores, c)))


def unscored_candidates(data: ReportData) -> list[Candidate]:
    """Neither ranked nor stopped at a rung."""
    apart = {id(candidate) for candidate in (*ranked_candidates(data), *stopped_candidates(data))}
    return [candidate for candidate in data.candidates if id(candidate) not in apart]


def candidate_f1(candidate: Candidate) -> float:
    assert candidate.scores is not None
    return candidate.scores.f1.value


def unscored_reason(candidate: Candidate) -> str:
    """Why a candidate has no score, in one line."""
    if candidate.failure:
        return candidate.failure
    failed = [
        f"{check.name}: {check.reason}" if check.reason else check.name
        for check in candidate.checks
        if not check.passed and check.enforced
    ]
    if failed:
        return failed[0]
    return {
        "pending": "not screened yet",
        "rejected": "rejected by the gate",
        "duplicate": "ranks rollouts of the base policy like an earlier candidate",
        "stopped": "stopped before the end of its training",
        "failed": "its run ended without a score",
        "screened": "no predictions were kept",
    }[candidate.status]
