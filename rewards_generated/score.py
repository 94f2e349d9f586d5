"""The result of one reward call, and the contract of whatever makes such calls."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from rewards_generated.rollout import Sample


@dataclass(frozen=True, slots=True)
class Score:
    """`value` is a finite float, or None with `error` saying in one line why the sample could not be scored."""

    value: float | None
    error: str | None = None


class Scorer(Protocol):
    """One reward function that can be called on batches, in-process (trusted) or in a sandbox."""

    def score(self, samples: Sequence[Sample], groups: Sequence[Hashable] | None = None) -> list[Score]:
        """One score per sample, in order. A failure of the reward is data, never an exception. `groups`: equal for
        completions of the same prompt; given where the reward sees whole groups."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Rechecking(Protocol):
    """A scorer that asks some things twice, and may find that it cannot be believed."""

    condemned: str | None

    def recheck(self) -> str | None: ...
