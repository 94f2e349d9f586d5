"""What the proposer of the next round is told of the earlier ones."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from search.proposers.base import FailedCandidate, Feedback, RankedCandidate
from search.results.ranking import Outcome, ranked, stopped


def build_feedback(
    mode: Literal["ranked", "none", "shuffled"], every: Sequence[Outcome], seed: int, *, flags: bool = True
) -> Feedback:
    """`ranked`: the truth. `none`: nothing. `shuffled`: the same tables with the measured figures, those of training
    included, permuted over the candidates, and so who was stopped at a rung; failures stay where they are, since they
    are no scores.

    `flags`: whether signs of reward hacking are told; they belong to the figures."""
    if mode == "none":
        return Feedback("none")
    best, apart = ranked(list(every)), stopped(list(every))
    rows = [_row(outcome) for outcome in (*best, *apart)]
    if not flags:
        rows = [replace(row, flags=()) for row in rows]
    if mode == "shuffled":
        rows = _shuffled(rows, seed)
    failed = tuple(
        FailedCandidate(
            outcome.candidate.name,
            outcome.candidate.identity,
            outcome.candidate.round,
            outcome.candidate.code,
            outcome.reasons,
            outcome.status == "duplicate",
        )
        for outcome in every
        if outcome.status in ("rejected", "duplicate", "failed")
    )
    return Feedback(
        mode,
        tuple(rows[: len(best)]),
        failed,
        luck_known=bool(best) and all(outcome.scores and outcome.scores.luck == "both" for outcome in best),
        stopped=tuple(rows[len(best) :]),
    )


def _row(outcome: Outcome) -> RankedCandidate:
    candidate, scores = outcome.candidate, outcome.scores or outcome.rung_scores
    assert scores is not None
    assert scores.extraction_rate is not None
    assert scores.mean_completion_tokens is not None
    assert candidate.identity is not None
    return RankedCandidate(
        name=candidate.name,
        identity=candidate.identity,
        round=candidate.round,
        code=candidate.code,
        family=candidate.family,
        parents=candidate.parents,
        f1=scores.f1.value,
        f1_low=scores.f1.low,
        f1_high=scores.f1.high,
        accuracy=scores.accuracy.value,
        extraction_rate=scores.extraction_rate.value,
        firing_rate=outcome.firing_rate,
        mean_completion_tokens=scores.mean_completion_tokens,
        notes=outcome.verdict.warnings if outcome.verdict else (),
        prescreening=outcome.prescreening,
        flags=outcome.flags,
        stopped_after=outcome.rung,
    )


def _shuffled(rows: list[RankedCandidate], seed: int) -> list[RankedCandidate]:
    """The figures keep their places in the table; the candidates behind them are permuted."""
    sources = list(rows)
    random.Random(seed).shuffle(sources)
    return [
        replace(
            figures,
            name=source.name,
            identity=source.identity,
            round=source.round,
            code=source.code,
            family=source.family,
            parents=source.parents,
            notes=source.notes,
        )
        for figures, source in zip(rows, sources, strict=True)
    ]
