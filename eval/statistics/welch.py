"""The difference of two means whose groups spread differently."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.statistics.estimate import Estimate, require_level


def welch_difference(first: Sequence[float], second: Sequence[float], level: float = 0.95) -> Estimate | None:
    """Mean of the first minus that of the second, with Welch's interval (Welch 1947, Biometrika 34:28-35): Student's t
    with v = (a + b)^2 / (a^2 / (n - 1) + b^2 / (m - 1)) degrees of freedom, where a and b are the squared standard
    errors of the means. None with fewer than two values on a side, or where neither side spreads.
    """
    from scipy.special import stdtrit

    require_level(level)
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if min(x.size, y.size) < 2:
        return None
    a, b = float(x.var(ddof=1)) / x.size, float(y.var(ddof=1)) / y.size
    if a + b == 0:
        return None
    freedom = (a + b) ** 2 / (a**2 / (x.size - 1) + b**2 / (y.size - 1))
    half = float(stdtrit(freedom, (1 + level) / 2)) * (a + b) ** 0.5
    value = float(x.mean() - y.mean())
    return Estimate(value, value - half, value + half, x.size + y.size, level, "Welch's t")
