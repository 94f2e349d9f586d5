"""The contract of generation engines: many prompts in, completions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from eval.tasks.base import Message


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to decode. `temperature` 0 is greedy. `seed` decides the draws where it is above 0."""

    max_completion_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    draws_period: int | None = None
    """Rows that lie so far apart see the same draws, as several policies asked the same questions in one call should;
    None: every row has its own."""


@dataclass(frozen=True, slots=True)
class Generated:
    completion: str
    tokens: int
    """Number of tokens, the end token included."""
    truncated: bool
    """No end token within the limit."""


class GenerationEngine(Protocol):
    """Generates for a fixed base policy, with one adapter for all rows or one adapter per row."""

    def generate(
        self,
        prompts: Sequence[Sequence[Message]],
        sampling: Sampling,
        adapters: str | Sequence[str | None] | None = None,
    ) -> list[Generated]:
        """Completions in the order of the prompts.

        `adapters`: path of a PEFT adapter for every row, a path (or None: the base) per row, or None for the
        base policy. Raises ValueError where the lengths differ.
        """
        ...
