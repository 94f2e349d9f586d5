"""One language model behind litellm: its form of answer, its price, and one request at a time."""

from __future__ import annotations

import json
import time
from functools import cached_property
from typing import Any

from rewards_generated.errors import UserError
from rewards_generated.reward_set import Proposes
from search.proposers.base import LanguageModelCall, Spending
from search.proposers.language_model.client import litellm
from search.proposers.language_model.failures import Failure, failure_of
from search.proposers.language_model.keys import key_of, redacted
from search.proposers.language_model.parameters import (
    accepted_parameters,
    check_request,
    limit_name,
    mended,
    overflows,
    shorter_reply,
)
from search.proposers.language_model.prices import price
from search.proposers.language_model.schemas import RESPONSE_FORMATS
from search.proposers.language_model.settings import ModelSettings
from search.proposers.language_model.usage import billed_tokens
from search.proposers.question.prompt import SHORTEST, Form, without_surrogates

_FRAMING_TOKENS = 200
"""Allowance for what providers add around a prompt: roles, separators, instructions for structured output."""
UNANSWERED = "no answer was recorded; counted at its worst case, since the provider may bill it"


class ProviderFailure(Exception):
    """A request without an answer. `call` is what is recorded of it."""

    def __init__(self, call: LanguageModelCall, failure: Failure) -> None:
        super().__init__(call.error)
        self.call = call
        self.failure = failure


class Provider:
    """Sends single requests to one model and prices them. `settings` say all that holds for this model."""

    def __init__(self, settings: ModelSettings, timeout_seconds: float) -> None:
        self.settings = settings
        self.timeout_seconds = timeout_seconds
        self.shortening = 0
        """How much shorter than usual its prompts have to be: a level of `PromptSettings.shortened`."""

    @property
    def model(self) -> str:
        return self.settings.model

    @cached_property
    def _accepted(self) -> tuple[dict[str, Any], list[str]]:
        return accepted_parameters(self.settings)

    @cached_property
    def values(self) -> dict[str, Any]:
        """What is sent along with every prompt; replaced by what `mend` finds."""
        return self._accepted[0]

    @cached_property
    def _key(self) -> str | None:
        return key_of(self.settings)

    @property
    def refused(self) -> list[str]:
        """Parameters that are left out because litellm knows that the model takes none."""
        return self._accepted[1]

    @property
    def form(self) -> Form:
        """The form of answer that is demanded of this model."""
        return "json" if "response_format" in self.values else "fenced"

    def ask_for(self, proposes: Proposes) -> None:
        """From now on the schema that is demanded, if any is, is that of rewards or of sets."""
        if self.form == "json":
            self.values = {**self.values, "response_format": RESPONSE_FORMATS[proposes]}

    @property
    def max_tokens(self) -> int:
        """Longest reply that is asked for."""
        return int(self.values[limit_name(self.values)])

    @property
    def has_price(self) -> bool:
        return price(self.settings, 1, 1) is not None

    def prepare(self) -> None:
        """Raises UserError if no request could be made: an unknown provider, a missing key or package, an address that
        is none. Sends nothing."""
        values = dict(self.values)
        self._key = key_of(self.settings)
        check_request(self.settings, values)

    def worst_case(self, prompt: str) -> Spending:
        """The most that one request with this prompt can use up."""
        return Spending.of([self.unanswered(prompt)])

    def unanswered(self, prompt: str, error: str = UNANSWERED, seconds: float = 0.0) -> LanguageModelCall:
        """What is recorded of a request before its answer is there: its worst case."""
        tokens = self._longest(prompt)
        cost = price(self.settings, tokens, self.max_tokens)
        return LanguageModelCall(self.model, prompt, None, error, tokens, self.max_tokens, cost, seconds)

    def send(self, prompt: str, values: dict[str, Any]) -> LanguageModelCall:
        """One request, without retries. Raises ProviderFailure; its call counts what the provider may bill."""
        package = litellm()
        started = time.monotonic()
        try:
            response = package.completion(
                model=self.model,
                messages=[{"role": "user", "content": prompt}],
                api_base=self.settings.api_base,
                api_key=self._key,
                timeout=self.timeout_seconds,
                num_retries=0,
                max_retries=0,
                **values,
            )
            return self._call(prompt, response, int(values[limit_name(values)]), time.monotonic() - started)
        except package.exceptions.ContentPolicyViolationError as error:
            seconds = time.monotonic() - started
            return LanguageModelCall(
                self.model, prompt, "", self._words(error), seconds=seconds, finish_reason="content_filter"
            )
        except Exception as error:
            # Whatever a provider's client raises is a request without an answer.
            raise self._failed(prompt, failure_of(error, self._words(error)), time.monotonic() - started) from error

    def timed_out(self, prompt: str) -> ProviderFailure:
        """The failure of a request that was not answered in `timeout_seconds`."""
        message = f"no reply within timeout_seconds = {self.timeout_seconds:g}"
        return self._failed(prompt, Failure(message, None, billed=True, transient=True), self.timeout_seconds)

    def mend(self, failure: Failure) -> str | None:
        """Changes what is sent along, or how long prompts are, after a refusal that asks for it; says what changed.

        None where nothing can be done about it.
        """
        if not failure.parameters_refused:
            return None
        if overflows(failure.message):
            if (fewer := shorter_reply(self.max_tokens, failure.message)) is not None:
                self.values = {**self.values, limit_name(self.values): fewer}
                return f"replies are limited to {fewer} tokens"
            if self.shortening < SHORTEST:
                self.shortening += 1
                return "the prompt is shortened"
            return None
        found = mended(self.values, failure.message)
        if found is None or (self.settings.structured_output == "always" and "response_format" not in found[0]):
            return None
        self.values, change = found
        return change

    def _longest(self, prompt: str) -> int:
        """Bound of the prompt's tokens: one of a byte-level tokenizer is at least a byte, whatever the provider has."""
        schema = len(json.dumps(self.values["response_format"])) if self.form == "json" else 0
        return len(prompt.encode()) + _FRAMING_TOKENS + schema

    def _call(self, prompt: str, response: Any, limit: int, seconds: float) -> LanguageModelCall:
        choice = next(iter(response.choices or ()), None)
        message = getattr(choice, "message", None)
        refusal = (getattr(message, "provider_specific_fields", None) or {}).get("refusal")
        reply = getattr(message, "content", None) or _tool_arguments(message)
        prompt_tokens, completion_tokens = billed_tokens(getattr(response, "usage", None), self._longest(prompt), limit)
        return LanguageModelCall(
            self.model,
            prompt,
            redacted(without_surrogates(reply or refusal or ""), self.settings),
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            cost_usd=price(self.settings, prompt_tokens, completion_tokens),
            seconds=seconds,
            finish_reason="refusal" if refusal and not reply else (getattr(choice, "finish_reason", None) or ""),
        )

    def _failed(self, prompt: str, failure: Failure, seconds: float) -> ProviderFailure:
        if failure.billed:
            worst = f"{failure.message} (counted at its worst case, since the provider may bill it)"
            return ProviderFailure(self.unanswered(prompt, worst, seconds), failure)
        call = LanguageModelCall(self.model, prompt, None, failure.message, seconds=seconds)
        return ProviderFailure(call, failure)

    def _words(self, error: Exception) -> str:
        """The error in one line, without any key that stands in the environment."""
        said = str(error).partition("Traceback (most recent call last)")[0].strip()
        message = " ".join(without_surrogates(said or type(error).__name__).split())
        return redacted(message, self.settings)[:1000]


def _tool_arguments(message: Any) -> str:
    """What a model wrote into calls of tools instead of a text."""
    calls = [call.function for call in getattr(message, "tool_calls", None) or ()]
    arguments = [getattr(call, "arguments", None) for call in (*calls, getattr(message, "function_call", None))]
    return "\n".join(item if isinstance(item, str) else json.dumps(item) for item in arguments if item)


def require_affordable(provider: Provider, budget_usd: float | None) -> None:
    """Raises UserError if a budget in USD cannot be held because the model's price is unknown."""
    if budget_usd is not None and not provider.has_price:
        raise UserError(
            f"proposer.options.budget_usd cannot be held: the price of {provider.model!r} is unknown; give "
            "usd_per_million_prompt_tokens and usd_per_million_completion_tokens, or set budget_usd to null"
        )
