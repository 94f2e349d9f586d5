"""Several policies on the same questions: McNemar's test of every pair, corrected for many, and Cochran's Q of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.statistics.estimate import Estimate
from eval.statistics.paired import score_bounds

EXACT_BELOW = 25
"""Discordant pairs under which the chi-square approximation is not used (the usual rule, as in Fagerland et al.)."""

Correction = Literal["bonferroni", "holm", "benjamini-hochberg"]


class Comparison(NamedTuple):
    """One pair of policies, with p-values corrected over the whole family."""

    first: str
    second: str
    first_only: int
    """Questions that only the first got right."""
    second_only: int
    difference: Estimate
    """Accuracy of the first minus that of the second."""
    p_value: float
    method: str
    bonferroni: float
    holm: float
    benjamini_hochberg: float


def compare_all(
    correct: Mapping[str, Sequence[bool] | NDArray[Any]],
    level: float = 0.95,
    pairs: Sequence[tuple[str, str]] | None = None,
) -> list[Comparison]:
    """McNemar's test for every pair (or the `pairs` declared beforehand), which form one family.

    `correct`: per policy whether each question was answered rightly, shape (N,), the questions in one order.
    Raises ValueError where the lengths differ or no questions were given.
    """
    names = list(correct)
    if len({len(answers) for answers in correct.values()}) > 1:
        raise ValueError("every policy must have answered the same questions in the same order")
    index = {name: position for position, name in enumerate(names)}
    chosen = list(pairs) if pairs is not None else list(combinations(names, 2))
    if not chosen:
        return []
    table = np.asarray([np.asarray(correct[name], dtype=bool) for name in names], dtype=np.float64)
    n = table.shape[1]
    if n == 0:
        raise ValueError("there are no questions to compare on")
    both = table @ table.T
    right = table.sum(axis=1)
    rows = np.array([index[first] for first, _ in chosen])
    columns = np.array([index[second] for _, second in chosen])
    b = np.rint(right[rows] - both[rows, columns]).astype(np.int64)
    c = np.rint(right[columns] - both[rows, columns]).astype(np.int64)
    p = mcnemar_p_values(b, c)
    low, high = score_bounds(b, c, n, level)
    bonferroni, holm = adjust_p_values(p, "bonferroni"), adjust_p_values(p, "holm")
    discovery = adjust_p_values(p, "benjamini-hochberg")
    return [
        Comparison(
            first,
            second,
            int(b[k]),
            int(c[k]),
            Estimate(float(b[k] - c[k]) / n, float(low[k]), float(high[k]), n, level, "Tango score"),
            float(p[k]),
            "exact" if b[k] + c[k] < EXACT_BELOW else "chi-square",
            float(bonferroni[k]),
            float(holm[k]),
            float(discovery[k]),
        )
        for k, (first, second) in enumerate(chosen)
    ]


def mcnemar_p_values(first_only: ArrayLike, second_only: ArrayLike) -> NDArray[np.float64]:
    """Two-sided p-values of many tables at once, in the shape of the counts: exact with few discordant questions, else
    chi-square with Edwards' continuity correction."""
    from scipy.special import bdtr, chdtrc

    b, c = np.broadcast_arrays(np.asarray(first_only, dtype=np.int64), np.asarray(second_only, dtype=np.int64))
    total = b + c
    exact = np.minimum(1.0, 2 * bdtr(np.minimum(b, c), total, 0.5))
    chi_square = chdtrc(1, np.maximum(np.abs(b - c) - 1, 0) ** 2 / np.maximum(total, 1))
    return np.asarray(np.where(total < EXACT_BELOW, exact, chi_square), dtype=np.float64)


def adjust_p_values(p_values: Sequence[float] | NDArray[np.float64], correction: Correction) -> NDArray[np.float64]:
    """Adjusted p-values in the order given; reject where one is at most the level.

    `bonferroni` and `holm` (Holm 1979) bound the chance of any false rejection in the family, `benjamini-hochberg`
    (1995) the expected share of false ones among the rejections. The family is what is passed in. Raises ValueError
    for p-values outside [0, 1].
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.size == 0:
        return values
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p-values must lie in [0, 1]")
    # By hand: the function of statsmodels collects garbage at every call, which takes a tenth of a second.
    order, places = np.argsort(values), np.arange(1, values.size + 1)
    steps = values[order] * values.size
    if correction == "holm":
        steps = np.maximum.accumulate(values[order] * places[::-1])
    elif correction == "benjamini-hochberg":
        steps = np.minimum.accumulate((values[order] / (places / values.size))[::-1])[::-1]
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


class CochranResult(NamedTuple):
    statistic: float
    degrees_of_freedom: int
    p_value: float


def cochran_q(correct: Sequence[Sequence[bool]] | NDArray[Any]) -> CochranResult:
    """Cochran's Q test (Cochran 1950, Biometrika 37:256-266); `correct` of shape (policies, questions).

    With two policies it is McNemar's chi-square without continuity correction. Where all policies agree on every
    question Q is 0 and p is 1. Raises ValueError with fewer than two policies or no questions.
    """
    from statsmodels.stats.contingency_tables import cochrans_q

    table = np.asarray(correct, dtype=bool)
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] == 0:
        raise ValueError(f"Cochran's Q needs answers of shape (policies >= 2, questions >= 1), not {table.shape}")
    if (table == table[0]).all():
        return CochranResult(0.0, table.shape[0] - 1, 1.0)
    result = cochrans_q(table.T.astype(np.int64))
    return CochranResult(float(result.statistic), int(result.df), float(result.pvalue))
