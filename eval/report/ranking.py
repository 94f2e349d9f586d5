"""Who stands where in a report: the winner, the controls, candidates with and without a rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from eval.report.data import Candidate, Entry, ReportData, Scores

BASE_REWARDS_ONLY = "base rewards only"
UNTRAINED_BASE = "untrained base"
"""Values of `Entry.control` that the report knows and compares with."""


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


def shown_split(data: ReportData) -> Literal["validation", "test"]:
    """Test once any entry has figures there."""
    return "test" if any(entry.test for entry in data.entries if entry.failure is None) else "validation"


def anchors(data: ReportData) -> dict[int, str]:
    """By `id` of a candidate, since names and identities may come twice: where its section is on the page."""
    return {id(candidate): f"candidate-{k}" for k, candidate in enumerate(data.candidates, start=1)}


def control(entries: Sequence[Entry], name: str) -> Entry | None:
    return next((e for e in entries if e.control == name and e.failure is None), None)


def ranked_candidates(data: ReportData) -> list[Candidate]:
    """Screened candidates with scores, best F1 first, ties by name. Nothing else is ranked."""
    scored = [c for c in data.candidates if c.status == "screened" and c.scores is not None]
    return sorted(scored, key=lambda c: (-candidate_f1(c), c.round, c.name))


def unscored_candidates(data: ReportData) -> list[Candidate]:
    """Neither ranked nor stopped at a rung."""
    apart = {id(candidate) for candidate in (*ranked_candidates(data), *stopped_candidates(data))}
    return [candidate for candidate in data.candidates if id(candidate) not in apart]


def stopped_candidates(data: ReportData) -> list[Candidate]:
    """Stopped at a rung, the longest trained first, then by F1: scores of one rung stand together."""
    found = [c for c in data.candidates if c.status == "stopped" and c.rung_scores is not None]
    return sorted(found, key=lambda c: (-(c.rung or 0), -c.rung_scores.f1.value if c.rung_scores else 0.0, c.name))


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
