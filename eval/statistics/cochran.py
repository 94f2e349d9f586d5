"""Cochran's Q: do any of several policies differ on the same questions?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


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
