"""What the units of the study leave: counts of right samples, and how the trainings went."""

from __future__ import annotations

from itertools import pairwise

from search.study.base import Record
from search.study.cells import change, mean

WINDOWS = 8
"""Parts of a training over which accuracy is averaged."""


class BaseRecord(Record):
    """Right samples of the base policy, by task one count per question, in two draws."""

    first: dict[str, tuple[int, ...]]
    """Tells questions apart."""
    second: dict[str, tuple[int, ...]]
    """Measures them anew."""


class ArmRecord(Record):
    """One training."""

    failure: str | None
    accuracy: tuple[float | None, ...]
    """Of rollouts on fresh questions of the train split, step by step."""
    kl: tuple[float | None, ...]
    right: dict[str, tuple[int, ...]]
    """Right samples of the policy afterwards, as those of the base."""

    @property
    def windows(self) -> tuple[float | None, ...]:
        """Means of accuracy over `WINDOWS` parts of equal length."""
        bounds = [round(part * len(self.accuracy) / WINDOWS) for part in range(WINDOWS + 1)]
        return tuple(mean(self.accuracy[low:high]) for low, high in pairwise(bounds))

    def rise(self, first: int, last: int) -> float | None:
        """Of accuracy from one window to another, by their places; about 0 in the end where it has converged."""
        if len(self.accuracy) < WINDOWS:
            return None
        return change(self.windows[first], self.windows[last])

    @property
    def last_accuracy(self) -> float | None:
        return self.windows[-1]

    @property
    def last_kl(self) -> float | None:
        return mean(self.kl[-max(1, len(self.kl) // WINDOWS) :])


class SeedRecord(Record):
    seed: int
    arms: dict[str, ArmRecord]
