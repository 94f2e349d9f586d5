"""The proposer behind any provider that litellm knows: one or several models, retries, and a hard budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from eval.tasks.testbed.draws import Draws
from rewards_generated.errors import UserError
from search.proposers.base import LanguageModelCall, ProposalBatch, ProposalRequest, Spending
from search.proposers.budget import Budget
from search.proposers.collection import Render, collect
from search.proposers.prompt import render_prompt
from search.proposers.provider import ModelSettings, Provider, ProviderFailure
from search.proposers.settings import PromptSettings

LONGEST_WAIT = 60.0
"""Seconds between two attempts at most, unless the provider asks for more."""


def _as_models(value: Any) -> Any:
    """A model may be written as its name alone, and a single one without a list."""
    items = [value] if isinstance(value, str | dict) else value
    if isinstance(items, list | tuple):
        return [{"model": item} if isinstance(item, str) else item for item in items]
    return value


class LanguageModelSettings(PromptSettings):
    """Options of `litellm`."""

    models: Annotated[tuple[ModelSettings, ...], BeforeValidator(_as_models)] = Field(min_length=1)
    """The models; each call takes one of them, by weight."""
    api_base: str | None = Field(default=None, pattern=r"^https?://[^\s/]+")
    """Address of an OpenAI-compatible server for all models that name none of their own."""
    temperature: float | None = Field(default=0.6, ge=0, le=2)
    """Sampling temperature (the paper's is 0.6); null leaves it to the model."""
    max_tokens: int = Field(default=12_000, ge=100)
    """Longest reply in tokens, or what the model can give if that is less."""
    candidates_per_call: int | None = Field(default=None, ge=1)
    """Candidates asked for in one call; none: the whole round at once."""
    timeout_seconds: float = Field(default=300.0, gt=0)
    """Longest wait for one reply."""
    max_attempts: int = Field(default=5, ge=1)
    """Requests per call at most, when the provider is busy, down or silent (429, 5xx, time-outs)."""
    retry_wait_seconds: float = Field(default=2.0, ge=0)
    """Wait before the second attempt; it doubles each time, and is longer where the provider says so."""
    budget_usd: float | None = Field(default=None, gt=0)
    """Hard limit of a search's cost in USD; needs the price of every model. None: no limit."""
    budget_tokens: int | None = Field(default=2_000_000, gt=0)
    """Hard limit of a search's tokens, prompts and replies together. None: no limit."""
    budget_calls: int | None = Field(default=200, gt=0)
    """Hard limit of a search's requests, failed ones too. None: no limit."""


class LanguageModelProposer:
    """See the module. Replies that the request brings along are replayed instead of being asked for again."""

    name = "litellm"
    Settings = LanguageModelSettings

    def __init__(self, settings: LanguageModelSettings) -> None:
        self.settings = settings
        self.providers = [
            Provider(
                item.model_copy(update={"api_base": item.api_base or settings.api_base}),
                settings.temperature,
                settings.max_tokens,
                settings.timeout_seconds,
            )
            for item in settings.models
        ]
        self._prepared = False

    def prepare(self) -> None:
        """Raises UserError if a key, a price that the budget needs, or a provider is missing. Sends nothing."""
        for provider in self.providers:
            provider.prepare()
            if self.settings.budget_usd is not None and not provider.has_price:
                raise UserError(
                    f"proposer.options.budget_usd cannot be held: the price of {provider.model!r} is unknown; give "
                    "usd_per_million_prompt_tokens and usd_per_million_completion_tokens, or set budget_usd to null"
                )
        self._prepared = True

    def worst_case(self, request: ProposalRequest) -> Spending:
        """The most that one call for the whole round can use up, over all models. Sends nothing."""
        cases = [
            provider.worst_case(render_prompt(request, self.settings, form=provider.form))
            for provider in self.providers
        ]
        return max(cases, key=lambda case: (case.cost_usd, case.tokens))

    def propose(self, request: ProposalRequest) -> ProposalBatch:
        """Raises BudgetExhausted if not one reply fits the budget, UserError if the provider fails for good."""
        exchange = _Exchange(self, request)
        return collect(request, self.settings, exchange, self.settings.candidates_per_call)

    def check_prepared(self) -> None:
        if not self._prepared:
            self.prepare()


class _Exchange:
    """The calls of one round: recorded ones first, then new ones."""

    def __init__(self, proposer: LanguageModelProposer, request: ProposalRequest) -> None:
        settings = proposer.settings
        self.proposer = proposer
        self.settings = settings
        self.record = request.record_call
        self.draws = Draws(f"models {request.round} {request.seed}")
        spent = request.spent + Spending.of(request.recorded_calls)
        self.budget = Budget(spent, settings.budget_usd, settings.budget_tokens, settings.budget_calls)
        # Failed attempts are paid for but give nothing to replay: their call is simply tried again.
        self.answered: Iterator[LanguageModelCall] = (call for call in request.recorded_calls if call.reply is not None)

    def __call__(self, render: Render) -> LanguageModelCall:
        weights = {place: item.weight for place, item in enumerate(self.settings.models)}
        provider = self.proposer.providers[self.draws.weighted(weights)]
        if (recorded := next(self.answered, None)) is not None:
            return recorded
        self.proposer.check_prepared()
        return self._retried(provider, render(provider.form))

    def _retried(self, provider: Provider, prompt: str) -> LanguageModelCall:
        from tenacity import Retrying, retry_if_exception, stop_after_attempt

        attempts = Retrying(
            stop=stop_after_attempt(self.settings.max_attempts),
            wait=_waiting(self.settings.retry_wait_seconds),
            retry=retry_if_exception(lambda error: isinstance(error, ProviderFailure) and error.transient),
            reraise=True,
        )
        try:
            return attempts(self._attempt, provider, prompt)
        except ProviderFailure as failure:
            tries = attempts.statistics.get("attempt_number", 1)
            often = "" if tries == 1 else f" {tries} times"
            raise UserError(f"proposer model {provider.model!r} failed{often}: {failure}") from failure

    def _attempt(self, provider: Provider, prompt: str) -> LanguageModelCall:
        self.budget.check(provider.worst_case(prompt))
        try:
            call = provider.send(prompt)
        except ProviderFailure as failure:
            self._keep(failure.call)
            raise
        self._keep(call)
        return call

    def _keep(self, call: LanguageModelCall) -> None:
        self.budget.add(Spending.of([call]))
        self.record(call)


def _waiting(first: float) -> Callable[[Any], float]:
    """Doubling waits up to a minute; a provider's own wish counts where it is longer, up to ten minutes."""

    def seconds(state: Any) -> float:
        doubled: float = min(LONGEST_WAIT, first * 2.0 ** (state.attempt_number - 1))
        error = state.outcome.exception()
        wish: float | None = error.retry_after if isinstance(error, ProviderFailure) else None
        return max(doubled, min(wish or 0.0, 10 * LONGEST_WAIT))

    return seconds
