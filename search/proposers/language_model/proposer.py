"""The proposer behind any provider that litellm knows: one or several models, retries, and a hard budget."""

from __future__ import annotations

from search.proposers.base import ProposalBatch, ProposalRequest, Spending
from search.proposers.collection import collect
from search.proposers.language_model.exchanges import Exchanges
from search.proposers.language_model.probe import probe
from search.proposers.language_model.provider import Provider, require_affordable
from search.proposers.language_model.settings import LanguageModelSettings
from search.proposers.question.prompt import render_prompt


class LanguageModelProposer:
    """See the module. Replies that the request brings along are replayed instead of being asked for again."""

    name = "litellm"
    Settings = LanguageModelSettings

    def __init__(self, settings: LanguageModelSettings) -> None:
        self.settings = settings
        self.providers = [Provider(settings.of(model), settings.timeout_seconds) for model in settings.models]
        self._prepared = False

    def prepare(self) -> None:
        """Raises UserError if a key, a package, a provider, or a price that the budget needs is missing. Sends
        nothing."""
        for provider in self.providers:
            provider.prepare()
            require_affordable(provider, self.settings.budget_usd)
        self._prepared = True

    def notes(self) -> list[str]:
        """What of the settings is not sent, a sentence per model."""
        return [
            f"{provider.model}: {' and '.join(provider.refused)} {'is' if len(provider.refused) == 1 else 'are'} left "
            "out, since the model takes none"
            for provider in self.providers
            if provider.refused
        ]

    def probe(self) -> list[str]:
        """Asks every model for a single token, at its price, and says what came of it, a sentence per model.

        Raises UserError for a model that cannot be reached.
        """
        return [probe(provider) for provider in self.providers]

    def worst_case(self, request: ProposalRequest) -> Spending:
        """The most that one call for the whole round can use up, over all models. Sends nothing."""
        for provider in self.providers:
            provider.ask_for(request.proposes)
        cases = [
            provider.worst_case(render_prompt(request, self.settings, form=provider.form))
            for provider in self.providers
        ]
        return max(cases, key=lambda case: (case.unpriced_calls, case.cost_usd, case.tokens))

    def propose(self, request: ProposalRequest) -> ProposalBatch:
        """Raises BudgetExhausted if not one reply fits the budget, UserError if every provider fails for good."""
        return collect(
            request,
            self.settings,
            Exchanges(self, request),
            per_call=self.settings.candidates_per_call,
            parallel=self.settings.parallel,
        )

    def check_prepared(self) -> None:
        if not self._prepared:
            self.prepare()
