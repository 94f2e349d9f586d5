"""A number with its evidence."""

from __future__ import annotations

from typing import NamedTuple


class Interval(NamedTuple):
    """Bounds of a two-sided interval."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A point estimate with a two-sided interval at confidence `level`, over `n` units."""

    value: float
    low: float
    high: float
    n: int
    level: float
    method: str
    """How the interval was made, as a report names it."""


def require_level(level: float) -> None:
    """Raises ValueError unless 0 < level < 1."""
    if not 0 < level < 1:
        raise ValueError(f"the confidence level must lie between 0 and 1, not {level}")


def half_t(error: float, freedom: float, level: float) -> float:
    """Half of Student's t interval around a figure with this standard error."""
    from scipy.special import stdtrit

    require_level(level)
    return float(stdtrit(max(freedom, 1.0), (1 + level) / 2)) * error
