"""What the proposer of the next round is told of the earlier ones."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from search.config.names import WITHOUT_RESULTS, FeedbackMode
from search.proposers.base import FailedCandidate, Feedback, ProposedCandidate, RankedCandidate
from search.proposers.question.evidence import QuestionKind, Training
from search.results.ranking import Outcome, ranked, stopped


def build_feedback(
    mode: FeedbackMode,
    every: Sequence[Outcome],
    seed: int,
    *,
    flags: bool = True,
    alike: Mapping[str, frozenset[str]] | None = None,
    training: Mapping[str, Training | None] | None = None,
    leader_kinds: Sequence[QuestionKind] = (),
) -> Feedback:
    """`ranked`: the truth. `none`: what was proposed, and nothing of what came of it. `shuffled`: the same tables with
    the measured figures, those of training included, permuted over the candidates, and so who was stopped at a rung;
    failures stay where they are, since they are no scores. `independent`: as `none`, but its question shows none of it.

    `flags`: whether signs of reward hacking are told; they belong to the figures. By candidate, `alike`: whom it is too
    like for both to be shown, and `training`: what its run did. `leader_kinds`: what the first of all answers."""
    alike = alike or {}
    proposed = tuple(_proposed(outcome, alike) for outcome in every)
    if mode in WITHOUT_RESULTS:
        return Feedback(mode, proposed=proposed)
    best, apart = ranked(list(every)), stopped(list(every))
    rows = [_row(outcome, alike, training or {}) for outcome in (*best, *apart)]
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
            outcome.candidate.description,
            outcome.candidate.family,
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
        proposed=proposed,
        leader_kinds=tuple(leader_kinds),
    )


def _proposed(outcome: Outcome, alike: Mapping[str, frozenset[str]]) -> ProposedCandidate:
    candidate = outcome.candidate
    return ProposedCandidate(
        candidate.name,
        candidate.identity,
        candidate.round,
        candidate.code,
        candidate.family,
        candidate.description,
        alike.get(candidate.name, frozenset()),
    )


def _row(
    outcome: Outcome, alike: Mapping[str, frozenset[str]], training: Mapping[str, Training | None]
) -> RankedCandidate:
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
        description=candidate.description,
        alike=alike.get(candidate.name, frozenset()),
        training=training.get(candidate.name),
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
            description=source.description,
            alike=source.alike,
        )
        for figures, source in zip(rows, sources, strict=True)
    ]
