"""Ranks with ties, fast enough to be taken once per left-out question."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def average_ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1 of `values`, shape (N,); ties share the average of their places."""
    _, place, counts = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    averages = np.cumsum(counts) - (counts - 1) / 2
    ranks: NDArray[np.float64] = averages[place]
    return ranks


def correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Pearson's, which of ranks is Spearman's; both of shape (N,). None where either is constant or overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        a, b = x - x.mean(), y - y.mean()
        spread, size = float(np.sqrt((a @ a) * (b @ b))), float(np.sqrt((x @ x) * (y @ y)))
    if not np.isfinite(spread) or spread <= 1e-12 * max(1.0, size):
        return None
    return float(np.clip((a @ b) / spread, -1, 1))
