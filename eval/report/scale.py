"""Linear axes with round tick values."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps `domain` onto `pixels`, both given as (start, end)."""

    domain: tuple[float, float]
    pixels: tuple[float, float]

    def __call__(self, value: float) -> float:
        (low, high), (start, end) = self.domain, self.pixels
        return start + (value - low) / (high - low) * (end - start)

    def ticks(self, about: int = 5) -> list[float]:
        """Multiples of 1, 2 or 5 times a power of ten within the domain."""
        low, high = self.domain
        step = tick_step(high - low, about)
        first = math.ceil(low / step - 1e-9)
        last = math.floor(high / step + 1e-9)
        return [k * step for k in range(first, last + 1)]


def tick_step(span: float, about: int) -> float:
    raw = span / max(about, 1)
    magnitude = float(10 ** math.floor(math.log10(raw)))
    return next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= raw * (1 - 1e-9))


def padded_domain(
    values: list[float], share: float = 0.08, within: tuple[float, float] | None = None
) -> tuple[float, float]:
    """A domain around the values with some air, never of zero width."""
    low, high = min(values), max(values)
    air = (high - low) * share or max(abs(high) * share, 0.05)
    low, high = low - air, high + air
    if within is not None:
        low, high = max(low, within[0]), min(high, within[1])
        if high - low < 1e-9:
            return within
    return low, high
