"""The values that are sent along with a prompt, and what becomes of those that a model does not take."""

from __future__ import annotations

import re
from typing import Any

from rewards_generated.errors import UserError
from search.proposers.language_model.client import litellm
from search.proposers.language_model.prices import listed
from search.proposers.language_model.schemas import RESPONSE_FORMATS
from search.proposers.language_model.settings import ModelSettings

SHORTEST_REPLY = 2000
"""Tokens; a reply is not cut below this where prompt and reply together are too long for a model."""
_MENTIONED = {
    "temperature": ("temperature",),
    "top_p": ("top_p", "topp", "nucleus"),
    "response_format": ("response_format", "json_schema", "response_schema", "structured output", "json mode"),
    "reasoning_effort": ("reasoning_effort", "reasoning effort", "reasoning.effort", "thinking", "reasoning"),
}
"""How an error names a parameter, in the order in which they are given up."""
_OVERFLOW = re.compile(
    r"context.{0,3}(?:length|window|size|limit)|(?:prompt|input|request).{0,30} too (?:long|large)"
    r"|too many (?:input )?tokens|reduce the length"
)
_CONTEXT_FIGURES = re.compile(
    r"(?:maximum context length|context window|limit)\D{0,40}(\d{3,})\D.*?requested\D{0,20}(\d{3,})"
)
_FETCHING = ("bedrock", "databricks", "github_copilot", "huggingface", "sagemaker", "snowflake", "vertex_ai", "watsonx")
"""Providers whose requests cannot be made up without asking a server for a token or an address."""


def accepted_parameters(settings: ModelSettings) -> tuple[dict[str, Any], list[str]]:
    """The values that litellm's own transformation takes for this model, and the names of those that are left out.

    Raises UserError for an unknown provider, a model that is not for chat, one whose replies cannot be limited, and a
    JSON schema that is demanded `always` of a model that has none.
    """
    name = settings.model
    model, provider = _provider(settings)
    known = listed(name)
    if known.get("mode", "chat") not in ("chat", "responses", "completion"):
        raise UserError(f"proposer.options.models: {name!r} is no language model but one for {known['mode']}")
    assert settings.max_tokens is not None
    limit = min(settings.max_tokens, known.get("max_output_tokens") or settings.max_tokens)
    values: dict[str, Any] = {"max_tokens": limit}
    if not _takes(model, provider, values):
        raise UserError(f"proposer.options.models: {name!r} of {provider} takes no limit of tokens, so no budget holds")
    wanted = {
        "response_format": RESPONSE_FORMATS["reward"] if _wants_schema(settings, provider) else None,
        "reasoning_effort": settings.reasoning_effort,
        "top_p": settings.top_p,
        "temperature": settings.temperature,
    }
    refused = []
    for parameter, value in wanted.items():
        if value is None:
            continue
        if _takes(model, provider, {**values, parameter: value}):
            values[parameter] = value
        elif parameter == "response_format" and settings.structured_output == "always":
            raise UserError(
                f"proposer.options.models: {name!r} takes no JSON schema; set its structured_output to auto or never"
            )
        else:
            refused.append(parameter)
    if settings.extra_body:
        values["extra_body"] = settings.extra_body
    return values, refused


def limit_name(values: dict[str, Any]) -> str:
    """Under which of its two names the longest reply is sent."""
    return "max_tokens" if "max_tokens" in values else "max_completion_tokens"


def check_request(settings: ModelSettings, values: dict[str, Any]) -> None:
    """Makes up a whole request as litellm would send it, and sends nothing. Raises UserError if that fails."""
    from litellm.utils import CallTypes, return_raw_request

    litellm()
    _, provider = _provider(settings)
    if provider.startswith(_FETCHING):
        return
    request = {
        "model": settings.model,
        "messages": [{"role": "user", "content": "a prompt"}],
        "api_base": settings.api_base,
        "num_retries": 0,
        "max_retries": 0,
        **values,
    }
    problem = return_raw_request(CallTypes.completion, request).get("error")
    if not problem:
        return
    if missing := re.search(r"No module named '(\w+)", problem):
        package = {"mcp": "reward-search[responses]"}.get(missing[1], missing[1])
        problem = f"litellm needs another package for it: pip install {package!r}"
    reason = " ".join(problem.split("Traceback")[0].split())[:300]
    raise UserError(f"proposer.options.models: no request to {settings.model!r} can be made: {reason}")


def mended(values: dict[str, Any], error: str) -> tuple[dict[str, Any], str] | None:
    """Values that a refused request may be sent again with, and what is other about them, in words.

    `error`: what the provider said. None where nothing in it tells what to change.
    """
    text = error.lower()
    limit = limit_name(values)
    if limit == "max_tokens" and "max_completion_tokens" in text:
        kept = {name: value for name, value in values.items() if name != limit}
        return {**kept, "max_completion_tokens": values[limit]}, "max_tokens is sent as max_completion_tokens"
    if _OVERFLOW.search(text):
        return None
    if re.search(r"max_(?:completion_|output_)?tokens", text):
        allowed = [int(found) for found in re.findall(r"\d{3,}", text.replace(",", "")) if int(found) < values[limit]]
        lower = max(allowed, default=values[limit] // 2)
        return ({**values, limit: lower}, f"replies are limited to {lower} tokens") if lower >= 100 else None
    for parameter, words in _MENTIONED.items():
        if parameter in values and any(word in text for word in words):
            kept = {name: value for name, value in values.items() if name != parameter}
            return kept, f"{parameter} is left out"
    return None


def overflows(error: str) -> bool:
    """Whether the provider says that prompt and reply together are too long for the model."""
    return bool(_OVERFLOW.search(error.lower()))


def shorter_reply(tokens: int, error: str) -> int | None:
    """The limit of a reply's tokens with which the prompt may fit; None where the reply is as short as it may be."""
    if tokens <= SHORTEST_REPLY:
        return None
    if figures := _CONTEXT_FIGURES.search(error.lower().replace(",", "")):
        fitting = tokens - (int(figures[2]) - int(figures[1]))
        if SHORTEST_REPLY <= fitting < tokens:
            return fitting
    return max(SHORTEST_REPLY, tokens // 2)


def _provider(settings: ModelSettings) -> tuple[str, str]:
    """Name of the model without its provider, and the provider."""
    package = litellm()
    try:
        model, provider, _, _ = package.get_llm_provider(model=settings.model, api_base=settings.api_base)
    except package.exceptions.BadRequestError:
        raise UserError(
            f"proposer.options.models: {settings.model!r} names no provider that litellm knows; write provider/model, "
            "such as openai/gpt-4o, also for a model behind api_base"
        ) from None
    return model, provider


def _takes(model: str, provider: str, values: dict[str, Any]) -> bool:
    from litellm.utils import get_optional_params

    package = litellm()
    try:
        get_optional_params(model=model, custom_llm_provider=provider, drop_params=False, **values)
    except (package.exceptions.UnsupportedParamsError, package.exceptions.BadRequestError):
        return False
    return True


def _wants_schema(settings: ModelSettings, provider: str) -> bool:
    if settings.structured_output != "auto":
        return settings.structured_output == "always"
    if provider.startswith(("ollama", "huggingface")):
        # litellm would ask a server what it can do.
        return False
    return bool(litellm().supports_response_schema(model=settings.model))
