"""McNemar's test: do two policies answer the same questions equally well?"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

McNemarMethod = Literal["auto", "exact", "mid-p", "chi-square"]

EXACT_BELOW = 25
"""Discordant pairs under which the chi-square approximation is not used (the usual rule, as in Fagerland et al.)."""


def mcnemar_p_values(
    first_only: ArrayLike, second_only: ArrayLike, method: McNemarMethod = "auto"
) -> NDArray[np.float64]:
    """Two-sided p-values of many tables at once, in the shape of the counts."""
    from scipy.special import bdtr, chdtrc

    b, c = np.broadcast_arrays(np.asarray(first_only, dtype=np.int64), np.asarray(second_only, dtype=np.int64))
    total, smaller = b + c, np.minimum(b, c)

    def exact() -> Any:
        return np.minimum(1.0, 2 * bdtr(smaller, total, 0.5))

    def mid_p() -> Any:

        return np.minimum(1.0, bdtr(smaller, total, 0.5) + np.where(smaller > 0, bdtr(smaller - 1, total, 0.5), 0.0))

    def chi_square() -> Any:
        statistic = np.maximum(np.abs(b - c) - 1, 0) ** 2 / np.maximum(total, 1)
        return chdtrc(1, statistic)

    if method == "exact":
        p = exact()
    elif method == "mid-p":
        p = mid_p()
    elif method == "chi-square":
        p = chi_square()
    else:
        p = np.where(total < EXACT_BELOW, exact(), chi_square())
    return np.asarray(np.where(total == 0, 1.0, p), dtype=np.float64)
