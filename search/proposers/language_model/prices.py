"""What a model costs, by its options or by litellm's price list; a model that the list lacks has no known price."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from search.proposers.language_model.client import litellm
from search.proposers.language_model.settings import ModelSettings


@cache
def listed(model: str) -> dict[str, Any]:
    """The model's entry in litellm's own list; empty where it has none.

    Not `litellm.get_model_info`, which answers with prices of 0 for models that it only guesses from their names, and
    asks servers of Ollama and the hub for others.
    """
    entries = litellm().model_cost
    for key, provider in _keys(model):
        entry = entries.get(key)
        if entry is not None and str(entry.get("litellm_provider", "")).startswith(provider):
            return dict(entry)
    return {}


def _keys(model: str) -> Iterator[tuple[str, str]]:
    """Where a model may stand in the list, with the provider that its entry must be of."""
    yield model, ""
    provider, _, name = model.partition("/")
    if name:
        yield name, provider
        yield name.rpartition("/")[2], provider
    if name.startswith("ft:"):
        yield ":".join(name.split(":")[:2]), provider


def price(settings: ModelSettings, prompt_tokens: int, completion_tokens: int) -> float | None:
    """USD of one request, None if the price is unknown. Where several rates could hold, the dearest."""
    own = settings.usd_per_million_prompt_tokens, settings.usd_per_million_completion_tokens
    if own[0] is not None or own[1] is not None:
        return ((own[0] or 0.0) * prompt_tokens + (own[1] or 0.0) * completion_tokens) / 1e6
    entry = listed(settings.model)
    if entry.get("input_cost_per_token") is None or entry.get("output_cost_per_token") is None:
        return None
    prompt_rates = _rates(entry, "input_cost_per_token", prompt_tokens)
    completion_rates = _rates(entry, "output_cost_per_token", prompt_tokens)
    completion_rates.append(float(entry.get("output_cost_per_reasoning_token") or 0.0))
    request = float(entry.get("input_cost_per_request") or 0.0)
    return max(prompt_rates) * prompt_tokens + max(completion_rates) * completion_tokens + request


def _rates(entry: dict[str, Any], field: str, prompt_tokens: int) -> list[float]:
    """The plain rate, and those of long prompts (`..._above_200k_tokens`) that this one reaches."""
    found = [float(entry[field])]
    for key, value in entry.items():
        limit = key.removeprefix(f"{field}_above_").removesuffix("k_tokens")
        if limit.isdigit() and value is not None and prompt_tokens > 1000 * int(limit):
            found.append(float(value))
    return found
