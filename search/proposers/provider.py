"""One language model behind litellm: its key, its price, its form of answer, and one request at a time.

litellm takes 4-6 s to import, so nothing here does so before a request is about to be sent.
"""

from __future__ import annotations

import json
import os
import time
from functools import cache
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from rewards_generated.errors import UserError
from search.proposers.base import LanguageModelCall, Spending
from search.proposers.prompt import FAMILIES, Form, without_surrogates
from search.proposers.settings import ProposerSettings

_FRAMING_TOKENS = 200
"""Allowance for what providers add around a prompt: roles, separators, instructions for structured output."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1", "0.0.0.0")
RESPONSE_FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "reward_candidates",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "candidates": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "name": {"type": "string"},
                            "family": {"type": "string", "enum": list(FAMILIES)},
                            "description": {"type": "string"},
                            "code": {"type": "string"},
                        },
                        "required": ["name", "family", "description", "code"],
                        "additionalProperties": False,
                    },
                }
            },
            "required": ["candidates"],
            "additionalProperties": False,
        },
    },
}


class ModelSettings(ProposerSettings):
    """One language model."""

    model: str = Field(min_length=1)
    """Provider and model as litellm writes them, such as `openai/gpt-4o` or `moonshot/kimi-k2-0711-preview`."""
    weight: float = Field(default=1.0, gt=0)
    """How often it is chosen, relative to the other models."""
    api_base: str | None = Field(default=None, pattern=r"^https?://[^\s/]+")
    """Address of an OpenAI-compatible server, such as `http://localhost:8000/v1`; none: the provider's own."""
    api_key_variable: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w*$")
    """Environment variable that holds the key; none: the provider's usual one, and no key for a local server."""
    structured_output: Literal["auto", "always", "never"] = "auto"
    """Whether a JSON schema is demanded; `auto`: where litellm knows that the model supports it."""
    usd_per_million_prompt_tokens: float | None = Field(default=None, ge=0)
    """Price of the prompt where litellm knows none, or another; to be given together with the next."""
    usd_per_million_completion_tokens: float | None = Field(default=None, ge=0)
    """Price of the completion where litellm knows none, or another."""


class ProviderFailure(Exception):
    """A request without a usable answer. `call` is what is recorded of it; `transient` failures are worth a retry."""

    def __init__(self, call: LanguageModelCall, transient: bool, retry_after: float | None) -> None:
        super().__init__(call.error)
        self.call = call
        self.transient = transient
        self.retry_after = retry_after
        """Seconds that the provider asks to wait, if it says so."""


class Provider:
    """Sends single requests to one model and prices them."""

    def __init__(
        self, settings: ModelSettings, temperature: float | None, max_tokens: int, timeout_seconds: float
    ) -> None:
        self.settings = settings
        self.temperature = temperature
        self.timeout_seconds = timeout_seconds
        self._longest_reply = max_tokens

    @property
    def model(self) -> str:
        return self.settings.model

    @property
    def form(self) -> Form:
        """The form of answer that is demanded of this model."""
        if self.settings.structured_output != "auto":
            return "json" if self.settings.structured_output == "always" else "fenced"
        return "json" if _litellm().supports_response_schema(model=self.model) else "fenced"

    @property
    def max_tokens(self) -> int:
        """Longest reply that is asked for: the setting, or what the model can give if that is less."""
        limit = self._model_information().get("max_output_tokens")
        return min(self._longest_reply, limit) if limit else self._longest_reply

    @property
    def has_price(self) -> bool:
        return self._price(1, 1) is not None

    def prepare(self) -> None:
        """Raises UserError if the model's provider is unknown, its key is missing, or a parameter does not fit it."""
        litellm = _litellm()
        try:
            _, provider, _, _ = litellm.get_llm_provider(model=self.model, api_base=self.settings.api_base)
        except litellm.exceptions.BadRequestError:
            raise UserError(
                f"proposer.options.models: {self.model!r} names no provider that litellm knows; write provider/model, "
                "such as openai/gpt-4o, also for a model behind api_base"
            ) from None
        self._key()
        supported = litellm.get_supported_openai_params(model=self.model) or []
        if self.temperature is not None and supported and "temperature" not in supported:
            raise UserError(
                f"proposer.options.temperature = {self.temperature}: {self.model!r} takes none; set it to null"
            )
        if supported and not {"max_tokens", "max_completion_tokens"} & set(supported):
            raise UserError(
                f"proposer.options.models: {self.model!r} of {provider} takes no limit of tokens, so no budget holds"
            )

    def worst_case(self, prompt: str) -> Spending:
        """The most that one request with this prompt can use up.

        A token of a byte-level tokenizer is at least one byte long, so the prompt's bytes bound its tokens whatever
        tokenizer the provider uses.
        """
        tokens = len(prompt.encode()) + _FRAMING_TOKENS
        if self.form == "json":
            tokens += len(json.dumps(RESPONSE_FORMAT))
        cost = self._price(tokens, self.max_tokens)
        return Spending(1, tokens + self.max_tokens, cost or 0.0, int(cost is None))

    def send(self, prompt: str) -> LanguageModelCall:
        """One request, without retries. Raises ProviderFailure; its call counts what the provider may bill."""
        litellm = _litellm()
        parameters: dict[str, Any] = {"temperature": self.temperature} if self.temperature is not None else {}
        if self.form == "json":
            parameters["response_format"] = RESPONSE_FORMAT
        started = time.monotonic()
        try:
            response = litellm.completion(
                model=self.model,
                messages=[{"role": "user", "content": prompt}],
                api_base=self.settings.api_base,
                api_key=self._key(),
                max_tokens=self.max_tokens,
                timeout=self.timeout_seconds,
                num_retries=0,
                max_retries=0,
                **parameters,
            )
        except litellm.exceptions.ContentPolicyViolationError as error:
            seconds = time.monotonic() - started
            return LanguageModelCall(
                self.model, prompt, "", self._redacted(error), seconds=seconds, finish_reason="content_filter"
            )
        # litellm's exceptions have no base of their own but derive from those of the openai package.
        except _openai().OpenAIError as error:
            raise self._failure(prompt, error, time.monotonic() - started) from error
        return self._call(prompt, response, time.monotonic() - started)

    def _call(self, prompt: str, response: Any, seconds: float) -> LanguageModelCall:
        choice = response.choices[0]
        refusal = (getattr(choice.message, "provider_specific_fields", None) or {}).get("refusal")
        reply = without_surrogates(choice.message.content or refusal or "")
        usage = getattr(response, "usage", None)
        prompt_tokens = getattr(usage, "prompt_tokens", 0) or 0
        completion_tokens = getattr(usage, "completion_tokens", 0) or 0
        if not prompt_tokens and not completion_tokens:
            counter = _litellm().token_counter
            prompt_tokens, completion_tokens = counter(self.model, text=prompt), counter(self.model, text=reply)
        return LanguageModelCall(
            self.model,
            prompt,
            reply,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            cost_usd=self._price(prompt_tokens, completion_tokens),
            seconds=seconds,
            finish_reason="refusal" if refusal and not choice.message.content else (choice.finish_reason or ""),
        )

    def _failure(self, prompt: str, error: Exception, seconds: float) -> ProviderFailure:
        litellm, message = _litellm(), self._redacted(error)
        transient = isinstance(
            error,
            (
                litellm.exceptions.Timeout,
                litellm.exceptions.RateLimitError,
                litellm.exceptions.InternalServerError,
                litellm.exceptions.ServiceUnavailableError,
                litellm.exceptions.BadGatewayError,
                litellm.exceptions.APIConnectionError,
            ),
        )
        transient = transient or (getattr(error, "status_code", None) or 0) >= 500
        if not transient or _surely_not_billed(error):
            call = LanguageModelCall(self.model, prompt, None, message, seconds=seconds)
        else:
            worst = self.worst_case(prompt)
            call = LanguageModelCall(
                self.model,
                prompt,
                None,
                f"{message} (counted at its worst case, since the provider may bill it)",
                prompt_tokens=worst.tokens - self.max_tokens,
                completion_tokens=self.max_tokens,
                cost_usd=None if worst.unpriced_calls else worst.cost_usd,
                seconds=seconds,
            )
        return ProviderFailure(call, transient, _retry_after(error))

    def _price(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """USD of one request, None if the price is unknown."""
        settings = self.settings
        own = settings.usd_per_million_prompt_tokens, settings.usd_per_million_completion_tokens
        if own[0] is not None or own[1] is not None:
            return ((own[0] or 0.0) * prompt_tokens + (own[1] or 0.0) * completion_tokens) / 1e6
        information = self._model_information()
        if information.get("input_cost_per_token") is None or information.get("output_cost_per_token") is None:
            return None
        prompt_cost, completion_cost = _litellm().cost_per_token(
            model=self.model, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens
        )
        reasoning = (information.get("output_cost_per_reasoning_token") or 0.0) * completion_tokens
        return float(prompt_cost + max(completion_cost, reasoning))

    def _model_information(self) -> dict[str, Any]:
        return _model_information(self.model)

    def _key(self) -> str | None:
        """The key to send; None leaves it to litellm to find the provider's own. Raises UserError if it is missing."""
        variable, base = self.settings.api_key_variable, self.settings.api_base
        if variable:
            if not os.environ.get(variable):
                raise UserError(f"proposer.options.models: {self.model!r} needs the environment variable {variable}")
            return os.environ[variable]
        if base and urlsplit(base).hostname in _LOOPBACK:
            # A server on this machine needs no key and gets none; the client insists on some text.
            return "none"
        missing = _litellm().validate_environment(model=self.model, api_base=base)["missing_keys"]
        if missing:
            raise UserError(
                f"proposer.options.models: {self.model!r} needs the environment variable {' and '.join(missing)}"
            )
        return None

    def _redacted(self, error: Exception) -> str:
        """The error in one line, without any key that stands in the environment."""
        message = " ".join(without_surrogates(str(error)).split())
        for name, value in os.environ.items():
            secret = name == self.settings.api_key_variable or name.upper().endswith(("_KEY", "_TOKEN", "_SECRET"))
            if secret and len(value) >= 6:
                message = message.replace(value, f"[{name}]")
        return message[:1000]


def _surely_not_billed(error: BaseException) -> bool:
    """Whether the server answered with an error status, or was never reached.

    Everything else (time-outs, lost connections, unreadable answers) may have been worked on and billed.
    """
    import httpx

    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, httpx.HTTPStatusError | httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return False


def _retry_after(error: Exception) -> float | None:
    headers = getattr(error, "litellm_response_headers", None) or getattr(error, "headers", None) or {}
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except (TypeError, ValueError):
        return None


@cache
def _model_information(model: str) -> dict[str, Any]:
    litellm = _litellm()
    try:
        return dict(litellm.get_model_info(model))
    except litellm.exceptions.ModelNotMappedError:
        return {}


@cache
def _litellm() -> Any:
    """The package, told to download no price list, to read no `.env` file and to print nothing."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    import litellm

    litellm.suppress_debug_info = True
    litellm.drop_params = False
    return litellm


def _openai() -> Any:
    import openai

    return openai
