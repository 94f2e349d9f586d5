"""Agreement of two rankings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.statistics.estimate import Estimate, require_level


def spearman(first: Sequence[float], second: Sequence[float], level: float = 0.95) -> Estimate:
    """Spearman's rank correlation; interval on Fisher's z with variance (1 + r^2 / 2) / (n - 3).

    The variance is that of Bonett and Wright (2000, Psychometrika 65:23-28). Raises ValueError where the lengths
    differ, with fewer than four pairs, or where one side is constant (no ranking to agree with).
    """
    from scipy.special import ndtri
    from scipy.stats import spearmanr

    require_level(level)
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"rankings of {x.size} and {y.size} things cannot be compared")
    if x.size < 4:
        raise ValueError(f"a rank correlation with an interval needs at least 4 pairs, not {x.size}")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise ValueError("one of the rankings is constant: it has no order to agree with")
    r = float(np.clip(spearmanr(x, y).statistic, -1.0, 1.0))
    if abs(r) == 1.0:
        return Estimate(r, r, r, x.size, level, "Bonett-Wright")
    half = float(ndtri((1 + level) / 2)) * ((1 + r**2 / 2) / (x.size - 3)) ** 0.5
    centre = np.arctanh(r)
    return Estimate(r, float(np.tanh(centre - half)), float(np.tanh(centre + half)), x.size, level, "Bonett-Wright")
