"""What a search kept word for word: questions to the proposer with their replies, and rollouts of training."""

from __future__ import annotations

from eval.report.data import Exchange, Rollout
from search.ledger import Ledger


def exchanges(ledger: Ledger) -> tuple[Exchange, ...]:
    """Every call, in order, attempts that failed included."""
    numbers = sorted({item.number for item in ledger.rounds()})
    # A call of a round that is not over yet has no round in the ledger.
    numbers = list(range(1, (numbers[-1] if numbers else 0) + 2))
    return tuple(
        Exchange(
            round=number,
            model=call.model,
            prompt=call.prompt,
            reply=call.reply,
            error=call.error,
            tokens=call.prompt_tokens + call.completion_tokens,
            cost_usd=call.cost_usd,
            finish_reason=call.finish_reason,
        )
        for number in numbers
        for call in ledger.calls(number)
    )


def rollouts(ledger: Ledger) -> tuple[Rollout, ...]:
    """Those that every training run kept."""
    return tuple(
        Rollout(**sample, stage=record.stage, policy=record.subject, seed=record.seed)
        for record in ledger.jobs()
        for sample in record.result.get("samples", ())
    )
