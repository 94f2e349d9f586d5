"""Wilson's score interval for a proportion."""

from __future__ import annotations

from eval.statistics.estimate import Estimate, require_level


def wilson_interval(successes: int, n: int, level: float = 0.95) -> Estimate:
    """Score interval of a binomial proportion (Wilson 1927, JASA 22:209-212), without continuity correction.

    Holds its level well for any `n`, and does not collapse at 0 or `n` successes as a bootstrap does.
    Raises ValueError unless 0 <= successes <= n and n >= 1.
    """
    from statsmodels.stats.proportion import proportion_confint

    require_level(level)
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} is not a proportion")
    low, high = proportion_confint(successes, n, alpha=1 - level, method="wilson")
    return Estimate(successes / n, max(0.0, float(low)), min(1.0, float(high)), n, level, "Wilson")
