"""What was asked of each language model, and what became of its candidates, from the ledger alone."""

from __future__ import annotations

from collections.abc import Sequence

from eval.report.data import ProposingModel, Scores
from eval.report.ranking import ranking_f1
from eval.statistics.estimate import Estimate
from eval.statistics.seeds import summarise_seeds
from search.ledger import Ledger
from search.proposers.base import LanguageModelCall, Spending
from search.proposers.manual import MODEL
from search.results.ranking import Outcome, ranked


def proposing_models(ledger: Ledger, every: Sequence[Outcome]) -> list[ProposingModel]:
    """One per model that was called, in the order of their first calls; none for answers to the proposer `manual`.

    `every`: the outcomes of all candidates."""
    by_model: dict[str, list[LanguageModelCall]] = {}
    for call in ledger.calls():
        if call.model != MODEL:
            by_model.setdefault(call.model, []).append(call)
    return [
        _model(name, calls, [outcome for outcome in every if outcome.candidate.origin == name])
        for name, calls in by_model.items()
    ]


def _model(name: str, calls: Sequence[LanguageModelCall], own: list[Outcome]) -> ProposingModel:
    spent, order = Spending.of(calls), ranked(own)
    return ProposingModel(
        name=name,
        calls=spent.calls,
        unanswered=sum(call.reply is None for call in calls),
        tokens=spent.tokens,
        cost_usd=None if spent.unpriced_calls else spent.cost_usd,
        candidates=len(own),
        accepted=sum(outcome.verdict is not None and outcome.verdict.accepted for outcome in own),
        mean=_mean([outcome.scores for outcome in order if outcome.scores]),
        best=order[0].candidate.name if order else None,
        best_scores=order[0].scores if order else None,
    )


def _mean(scores: Sequence[Scores]) -> Estimate | None:
    """Of the F1 that ranks, with Student's t interval over candidates; of a single one with its own."""
    if not scores:
        return None
    found = summarise_seeds([ranking_f1(item) for item in scores])
    if found.interval is None:
        return scores[0].f1._replace(value=found.mean, n=1)
    low, high = found.interval
    return Estimate(found.mean, max(0.0, low), min(1.0, high), found.n, 0.95, "Student's t over candidates")
