"""Rank correlation with an interval, for benchmarks that compare two orders of a dozen rewards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm, spearmanr

from eval.statistics.estimate import Estimate


def spearman(first: Sequence[float], second: Sequence[float], level: float = 0.95) -> Estimate:
    """Interval on Fisher's z with variance (1 + r^2 / 2) / (n - 3) (Bonett and Wright 2000, Psychometrika 65:23-28); at
    1 and -1 its far bound is that of the nearest imperfect order, one swap of neighbours away."""
    r, n = float(spearmanr(first, second).statistic), len(first)
    perfect = abs(r) > 1 - 1e-12
    measured = np.sign(r) * (1 - 12 / (n * (n**2 - 1))) if perfect else r
    half = norm.ppf((1 + level) / 2) * ((1 + measured**2 / 2) / (n - 3)) ** 0.5
    low, high = np.tanh(np.arctanh(measured) + np.array([-half, half]))
    if perfect:
        low, high = (low, 1.0) if r > 0 else (-1.0, high)
    return Estimate(r, float(low), float(high), n, level, "Bonett-Wright")
