"""A share of what a worker scores is asked again, apart from what it came with, in a fresh process."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Protocol

from rewards_generated.rollout import Sample
from rewards_generated.score import Score

TOGETHER = 32
"""Completions that are collected before they are asked again, so that a fresh process costs little per completion."""

Case = list[tuple[Sample, float]]
"""What one call of the reward sees, a completion or a group, with the values that it gave."""


class _Asked(Protocol):
    def score(self, samples: Sequence[Sample], groups: Sequence[int] | None = None) -> list[Score]: ...


class Rechecks:
    """Draws completions, or whole groups, with the probability `share` each, by chance that no reward can know.

    A reward whose values change from some call on, all of them, is found out with probability 1 - (1 - share)^n before
    n + TOGETHER / share values are wrong: at 0.02 with 99.7 % before 1,900, and with the same probability by the end of
    the run where it had 290 wrong ones. One that changes every k-th value needs k times as many.
    """

    def __init__(self, share: float, make: Callable[[int], _Asked]) -> None:
        """`make`: hash seed -> a worker of the same code in a process of its own."""
        self._share = share
        self._make = make
        self._worker: _Asked | None = None
        self._chance = random.SystemRandom()
        self._cases: list[Case] = []
        self.calls = 0

    def take(self, samples: Sequence[Sample], groups: Sequence[int], scores: Sequence[Score]) -> None:
        """Samples of a group stand together."""
        if self._share <= 0:
            return
        start = 0
        while start < len(samples):
            end = start
            while end < len(samples) and groups[end] == groups[start]:
                end += 1
            if self._chance.random() < self._share:
                case = [
                    (sample, score.value)
                    for sample, score in zip(samples[start:end], scores[start:end], strict=True)
                    if score.value is not None
                ]
                if len(case) == end - start:
                    self._cases.append(case)
            start = end

    @property
    def due(self) -> bool:
        return sum(map(len, self._cases)) > (1 - self._share) * TOGETHER

    def difference(self) -> str | None:
        """Asks what was collected again, the first case alone and the others together in another order; the first that
        has another value, in words. What could not be scored this time says nothing."""
        cases, self._cases = self._cases, []
        if not cases:
            return None
        if self._worker is None:
            self._worker = self._make(self._chance.randrange(2, 2**32))
        self._chance.shuffle(cases)
        self.calls += 1
        for part in (cases[:1], cases[1:]):
            groups = [number for number, case in enumerate(part) for _ in case]
            asked = [item for case in part for item in case]
            for (sample, value), score in zip(
                asked, self._worker.score([sample for sample, _ in asked], groups), strict=True
            ):
                if score.value is not None and not math.isclose(value, score.value, rel_tol=1e-9, abs_tol=1e-12):
                    return f"{value:g}, and in a fresh process {score.value:g}, on {sample.completion[:60]!r}"
        return None
