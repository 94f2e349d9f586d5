"""The built-in base policy: a small Llama trained from scratch on generated word problems, and its recipe."""

from __future__ import annotations

from pathlib import Path


def policy_path() -> Path:
    """The folder of the shipped policy (weights, configuration, tokenizer, `recipe.json`)."""
    return Path(__file__).parent / "policy"
