"""A number with its evidence, and the intervals that need no more than counts or a standard error."""

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


def wilson_interval(successes: int, n: int, level: float = 0.95) -> Estimate:
    """Score interval of a binomial proportion (Wilson 1927, JASA 22:209-212), without continuity correction.

    Holds its level on average over shares at any `n`, and does not collapse at 0 or `n` successes as a bootstrap does.
    At a given share its coverage swings about the level, counts being discrete: 0.95 down to 0.928 at n = 100 and to
    0.946 at n = 1,319, for shares of 0.05 to 0.95.

    Raises ValueError unless 0 <= successes <= n and n >= 1.
    """
    from statsmodels.stats.proportion import proportion_confint

    require_level(level)
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} is not a proportion")
    low, high = proportion_confint(successes, n, alpha=1 - level, method="wilson")
    # Rounding may leave the bound of an extreme count a hair inside.
    low = 0.0 if successes == 0 else float(low)
    high = 1.0 if successes == n else float(high)
    return Estimate(successes / n, low, high, n, level, "Wilson")
