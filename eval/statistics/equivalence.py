"""Evidence for "no difference": two one-sided tests with a margin stated beforehand."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.statistics.paired import score_statistic


def equivalence_p_values(
    first_only: ArrayLike, second_only: ArrayLike, n: ArrayLike, margin: float
) -> NDArray[np.float64]:
    """The same test for many tables at once, in the shape of the counts."""
    from scipy.special import ndtr

    if not 0 < margin < 1:
        raise ValueError(f"the equivalence margin must lie between 0 and 1 (in accuracy), not {margin}")
    not_below = ndtr(-score_statistic(first_only, second_only, n, -margin))
    not_above = ndtr(score_statistic(first_only, second_only, n, margin))
    return np.asarray(np.maximum(not_below, not_above), dtype=np.float64)
