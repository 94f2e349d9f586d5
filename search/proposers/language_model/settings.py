"""Options of the proposer `litellm`, each field with its help."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from search.proposers.settings import PromptSettings, ProposerSettings


def _address(text: str) -> str:
    """Raises ValueError for what no request can be sent to, and for an address with a password in it."""
    try:
        parts = urlsplit(text)
        port, host = parts.port, (parts.hostname or "").encode("idna").decode()
    except ValueError as error:
        raise ValueError(f"is no address: {error}") from None
    if not re.fullmatch(r"[a-z0-9.:_-]*[a-z0-9][a-z0-9.:_-]*", host) or port == 0:
        raise ValueError("is no address: write http://host:port/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a password: put it into an environment variable and name that as api_key_variable")
    return text


Address = Annotated[str, Field(pattern=r"^https?://[^\s/]+"), AfterValidator(_address)]
Temperature = Annotated[float, Field(ge=0, le=2)]


class ModelSettings(ProposerSettings):
    """One language model."""

    model: str = Field(min_length=1)
    """Provider and model as litellm writes them, such as `openai/gpt-4o` or `moonshot/kimi-k2-0711-preview`."""
    weight: float = Field(default=1.0, gt=0)
    """How often it is chosen, relative to the other models, where `choice` is weights."""
    api_base: Address | None = None
    """Address of an OpenAI-compatible server, such as `http://localhost:8000/v1`; none: the provider's own."""
    api_key_variable: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w*$")
    """Environment variable that holds the key; none: the provider's usual one, and no key for a server of one's own."""
    structured_output: Literal["auto", "always", "never"] = "auto"
    """Whether a JSON schema is demanded; `auto`: where litellm knows that the model supports it."""
    temperature: Temperature | None = None
    """Of this model, where it is another than that of all."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Nucleus sampling; none leaves it to the model."""
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    """How long a reasoning model thinks; none leaves it to the model."""
    max_tokens: int | None = Field(default=None, ge=100)
    """Longest reply of this model in tokens, thoughts included, where it is another than that of all."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Further fields of the request, as the provider documents them."""
    usd_per_million_prompt_tokens: float | None = Field(default=None, ge=0)
    """Price of the prompt where litellm knows none, or another; to be given together with the next."""
    usd_per_million_completion_tokens: float | None = Field(default=None, ge=0)
    """Price of the completion where litellm knows none, or another."""


def _as_models(value: Any) -> Any:
    """A model may be written as its name alone, and a single one without a list."""
    items = [value] if isinstance(value, str | dict) else value
    if isinstance(items, list | tuple):
        return [{"model": item} if isinstance(item, str) else item for item in items]
    return value


class LanguageModelSettings(PromptSettings):
    """Options of `litellm`."""

    models: Annotated[tuple[ModelSettings, ...], BeforeValidator(_as_models)] = Field(min_length=1)
    """The models; each call takes one of them, and another where that one fails."""
    choice: Literal["weights", "bandit"] = "weights"
    """How a call's model is chosen: by weights, or by a bandit that learns which rank high for what they cost."""
    cost_weight: float = Field(default=1.0, ge=0, le=1)
    """How much costs count in the bandit: 1 as much as ranks, 0 not at all."""
    api_base: Address | None = None
    """Address of an OpenAI-compatible server for all models that name none of their own."""
    temperature: Temperature | None = 0.6
    """Sampling temperature (the paper's is 0.6); null leaves it to the model, as does a model that takes none."""
    max_tokens: int = Field(default=12_000, ge=100)
    """Longest reply in tokens, or what the model can give if that is less."""
    candidates_per_call: int | None = Field(default=None, ge=1)
    """Candidates asked for in one call; none: the whole round at once."""
    parallel: int = Field(default=4, ge=1)
    """Calls of a round that may be under way at the same time; those of one wave do not know each other's answers."""
    timeout_seconds: float = Field(default=300.0, gt=0)
    """Longest wait for one reply, from sending to its last byte."""
    max_attempts: int = Field(default=5, ge=1)
    """Requests per call and model at most, when the provider is busy, down or silent (429, 5xx, time-outs)."""
    retry_wait_seconds: float = Field(default=2.0, ge=0)
    """Wait before the second attempt; it doubles each time, and is longer where the provider says so."""
    budget_usd: float | None = Field(default=None, gt=0)
    """Hard limit of a search's cost in USD; needs the price of every model. None: no limit."""
    budget_tokens: int | None = Field(default=2_000_000, gt=0)
    """Hard limit of a search's tokens, prompts and replies together. None: no limit."""
    budget_calls: int | None = Field(default=200, gt=0)
    """Hard limit of a search's requests, failed ones too. None: no limit."""

    @model_validator(mode="after")
    def _choice_takes_effect(self) -> Self:
        if self.choice == "bandit" and len(self.models) == 1:
            raise ValueError("choice = 'bandit' chooses among two or more models; name more, or leave choice out")
        if self.choice == "bandit" and any(item.weight != 1.0 for item in self.models):
            raise ValueError("choice = 'bandit' learns how often a model is asked; leave out the models' weight")
        if self.choice == "weights" and self.cost_weight != 1.0:
            raise ValueError("cost_weight has an effect with choice = 'bandit' alone; set that, or leave it out")
        return self

    def of(self, model: ModelSettings) -> ModelSettings:
        """The settings of one model with what holds for all where it has nothing of its own."""
        own = {
            "api_base": model.api_base or self.api_base,
            "temperature": model.temperature if "temperature" in model.model_fields_set else self.temperature,
            "max_tokens": model.max_tokens or self.max_tokens,
        }
        return model.model_copy(update=own)
