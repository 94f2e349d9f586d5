"""Every policy against every other on the same questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.statistics.estimate import Estimate
from eval.statistics.mcnemar import EXACT_BELOW, McNemarMethod, mcnemar_p_values
from eval.statistics.multiplicity import adjust_p_values
from eval.statistics.paired import score_bounds


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
    method: McNemarMethod = "auto",
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
    chosen = list(pairs) if pairs is not None else list(_all_pairs(names))
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
    p = mcnemar_p_values(b, c, method)
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
            _method_used(method, int(b[k] + c[k])),
            float(bonferroni[k]),
            float(holm[k]),
            float(discovery[k]),
        )
        for k, (first, second) in enumerate(chosen)
    ]


def _all_pairs(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            yield first, second


def _method_used(method: McNemarMethod, discordant: int) -> str:
    if method == "auto":
        return "exact" if discordant < EXACT_BELOW else "chi-square"
    return method
