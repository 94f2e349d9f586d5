"""One token's worth of asking: whether a model can be reached, with this key and these parameters."""

from __future__ import annotations

import re

from rewards_generated.errors import UserError
from search.proposers.language_model.parameters import limit_name
from search.proposers.language_model.provider import Provider, ProviderFailure

_PROMPT = "Answer with the word yes."
_TOKENS = (1, 16)
"""Limits that are tried in turn: some providers refuse the smaller."""
_TOO_FEW = re.compile(r"max_(?:completion_|output_)?tokens|output limit|minimum value", re.IGNORECASE)


def probe(provider: Provider) -> str:
    """Asks once and says what came of it; the reply is worth nothing. Raises UserError if the model cannot be asked."""
    limits = list(_TOKENS)
    while True:
        limit = limit_name(provider.values)
        values = {name: value for name, value in provider.values.items() if name != "response_format"}
        try:
            call = provider.send(_PROMPT, {**values, limit: limits[0]})
        except ProviderFailure as refusal:
            failure = refusal.failure
            renamed = limit == "max_tokens" and "max_completion_tokens" in failure.message
            if failure.parameters_refused and _TOO_FEW.search(failure.message) and not renamed and len(limits) > 1:
                limits.pop(0)
            elif provider.mend(failure) is None:
                raise UserError(f"proposer model {provider.model!r} cannot be asked: {failure.message}") from None
            continue
        cost = "at an unknown price" if call.cost_usd is None else f"{call.cost_usd:.6f} USD"
        tokens = call.prompt_tokens + call.completion_tokens
        return f"{provider.model} answers: {tokens} tokens, {cost}, {call.seconds:.1f} s"
