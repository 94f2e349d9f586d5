"""Agreement of two rankings."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.statistics.estimate import Estimate
from eval.statistics.jackknife import correlation_interval, group_jackknife
from eval.statistics.ranks import average_ranks, correlation


def clustered_spearman(
    first: Sequence[float], second: Sequence[float], groups: Sequence[Hashable], level: float = 0.95
) -> Estimate | None:
    """Spearman's rank correlation over units that come in groups, for new groups; all of shape (N,).

    Ties share their average rank. The error is a jackknife over groups, the interval on Fisher's z; at 1 or -1 it is
    `spearman`'s for as many units as there are groups. `n` counts groups. None where either side is constant, also
    without any one group, or with fewer than four groups.
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)

    def kept(keep: NDArray[np.bool_]) -> float | None:
        return correlation(average_ranks(x[keep]), average_ranks(y[keep]))

    count = len(set(groups))
    r = kept(np.ones(x.size, dtype=bool)) if x.size else None
    if r is None or count < 4:
        return None
    if abs(r) > 1 - 1e-12:
        return _perfect(round(r), count, level)
    error = group_jackknife(kept, groups)
    if error is None:
        return None
    return Estimate(r, *correlation_interval(r, error, count, level), count, level, "jackknife over questions")


def _bounds(r: float, n: int, level: float) -> tuple[float, float]:
    from scipy.special import ndtri

    half = float(ndtri((1 + level) / 2)) * ((1 + r**2 / 2) / (n - 3)) ** 0.5
    centre = np.arctanh(r)
    return float(np.tanh(centre - half)), float(np.tanh(centre + half))


def _perfect(sign: int, n: int, level: float) -> Estimate:
    one_swap = 1 - 12 / (n * (n**2 - 1))
    far = sign * _bounds(one_swap, n, level)[0]
    return Estimate(float(sign), min(far, float(sign)), max(far, float(sign)), n, level, "Bonett-Wright")
