"""Differences without pairs: of accuracies on two sets of questions, such as validation and test, and of two means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from eval.statistics.estimate import Estimate, half_t, require_level, wilson_interval


def unpaired_difference(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> Estimate:
    """Accuracy on the first set minus that on the second; of shape (N,) or (seeds, N), the same seeds in both.

    Newcombe's hybrid score interval from the Wilson intervals of both (Newcombe 1998, Stat. Med. 17:873-890, method
    10), generalised to means over several trained policies by the square-and-add rule (Zou and Donner 2008, Stat. Med.
    27:1693-1702) on Student's t intervals over questions. The policies are the same on both sides, so the luck of
    their seeds cancels and only questions count. `n` is that of the smaller set. Raises ValueError for no questions
    or unlike numbers of seeds.
    """
    a, b = (np.atleast_2d(np.asarray(answers, dtype=np.float64)) for answers in (first, second))
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b) or 0 in a.shape + b.shape:
        raise ValueError(f"the same policies must have answered questions of both sets, not {a.shape} and {b.shape}")
    one, other = _over_questions(a, level), _over_questions(b, level)
    value = one.value - other.value
    below = ((one.value - one.low) ** 2 + (other.high - other.value) ** 2) ** 0.5
    above = ((one.high - one.value) ** 2 + (other.value - other.low) ** 2) ** 0.5
    method = "Newcombe" if len(a) == 1 else "square-and-add"
    return Estimate(value, value - below, value + above, min(one.n, other.n), level, method)


def _over_questions(table: np.ndarray[tuple[int, ...], np.dtype[np.float64]], level: float) -> Estimate:
    n, per_question = table.shape[1], table.mean(axis=0)
    value = float(per_question.mean())
    if len(table) == 1 or n == 1 or np.ptp(per_question) == 0:
        return wilson_interval(round(value * n), n, level)._replace(value=value)
    half = half_t(float(per_question.std(ddof=1)), n - 1, level) / n**0.5
    return Estimate(value, value - half, value + half, n, level, "t")


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
