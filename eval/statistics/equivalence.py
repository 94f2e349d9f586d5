"""Evidence for "no difference": two one-sided tests with a margin stated beforehand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.statistics.estimate import Estimate
from eval.statistics.paired import discordance, score_bounds, score_statistic


class EquivalenceResult(NamedTuple):
    difference: Estimate
    """With the interval of level 1 - 2 alpha that goes with the test: it lies within the margin exactly where the
    two are shown equivalent."""
    margin: float
    p_value: float
    """The larger of the two one-sided p-values."""
    equivalent: bool


def equivalence_test(first: ArrayLike, second: ArrayLike, margin: float, alpha: float = 0.05) -> EquivalenceResult:
    """Whether two accuracies on the same questions differ by less than `margin`; answers of shape (N,), aligned.

    Two one-sided tests (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15:657-680) with Tango's score statistic for
    paired proportions (Tango 1998, Stat. Med. 17:891-908). Raises ValueError unless 0 < margin < 1.
    """
    b, c, n = discordance(first, second)
    p_value = float(equivalence_p_values(b, c, n, margin))
    low, high = score_bounds(b, c, n, 1 - 2 * alpha)
    difference = Estimate((b - c) / n, float(low), float(high), n, 1 - 2 * alpha, "Tango score")
    return EquivalenceResult(difference, margin, p_value, p_value <= alpha)


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
