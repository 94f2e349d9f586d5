"""Whether a request to every listed model of six providers could be sent, with the proposer's default options.

    python -m tests.benchmarks.model_preflight --output model_preflight.json

Every chat model of litellm's own list that belongs to OpenAI, Anthropic, Gemini, DeepSeek, Mistral and xAI goes through
the preflight that a search makes before it starts. Nothing is sent: the resolver of names is switched off.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rewards_generated.errors import UserError
from search.proposers.language_model.client import litellm
from search.proposers.language_model.provider import Provider
from search.proposers.language_model.settings import LanguageModelSettings
from tests.benchmarks.machine import machine

PROVIDERS = ("openai", "anthropic", "gemini", "deepseek", "mistral", "xai")
MODES = ("chat", "responses")


def listed_models() -> list[tuple[str, str, str]]:
    """Provider, mode and name, as the option `models` takes it."""
    found = []
    for key, entry in litellm().model_cost.items():
        provider, mode = entry.get("litellm_provider"), entry.get("mode")
        if provider in PROVIDERS and mode in MODES:
            found.append((provider, mode, key if key.startswith(f"{provider}/") else f"{provider}/{key}"))
    return sorted(found)


def preflight(model: str) -> tuple[Provider, str | None]:
    """The model's provider, and why no request could be sent to it."""
    settings = LanguageModelSettings.model_validate({"models": model})
    provider = Provider(settings.of(settings.models[0]), 10.0)
    try:
        provider.prepare()
    except UserError as reason:
        return provider, str(reason).replace(repr(model), "MODEL")
    return provider, None


def table() -> list[dict[str, Any]]:
    rows = []
    for provider in PROVIDERS:
        models = [(mode, name) for owner, mode, name in listed_models() if owner == provider]
        ready, reasons = [], Counter[str]()
        for _, name in models:
            found, reason = preflight(name)
            if reason is None:
                ready.append(found)
            else:
                reasons[reason] += 1
        rows.append(
            {
                "provider": provider,
                "models": len(models),
                "answer by the responses API alone": sum(mode == "responses" for mode, _ in models),
                "ready": len(ready),
                "asked for a JSON schema": sum(item.form == "json" for item in ready),
                "left out, since the model takes none": dict(Counter(name for item in ready for name in item.refused)),
                "without a known price": sum(not item.has_price for item in ready),
                "refused before anything runs": dict(reasons),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    output = parser.parse_args().output

    def no_network(*asked: Any, **more: Any) -> Any:
        raise OSError(f"the preflight asked the network for {asked[:2]}")

    socket.getaddrinfo = no_network
    for name in PROVIDERS:
        os.environ[f"{name.upper()}_API_KEY"] = "sk-of-nobody"
    rows = table()
    found = {**machine(), "litellm": version("litellm"), "mcp": version("mcp"), "providers": rows}
    output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    for row in rows:
        print(f"{row['provider']:10} {row['ready']} of {row['models']} ready, {row['refused before anything runs']}")


if __name__ == "__main__":
    main()
