"""The difference of two means whose groups spread differently."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.statistics.estimate import Estimate, require_level


def welch_difference(first: Sequence[float], second: Sequence[float], level: float = 0.95) -> Estimate | None:
    """Mean of the first minus that of the second, with Welch's interval (Welch 1947, Biometrika 34:28-35).

    None with fewer than two values on a side, or where neither side spreads.
    """
    from scipy.stats import ttest_ind

    require_level(level)
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if min(x.size, y.size) < 2:
        return None
    if np.ptp(x) == np.ptp(y) == 0:
        return None
    low, high = ttest_ind(x, y, equal_var=False).confidence_interval(level)
    return Estimate(float(x.mean() - y.mean()), float(low), float(high), x.size + y.size, level, "Welch's t")
