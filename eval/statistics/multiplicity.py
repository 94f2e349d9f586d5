"""Correction for testing many hypotheses at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Correction = Literal["bonferroni", "holm", "benjamini-hochberg"]
METHODS: dict[Correction, str] = {"bonferroni": "bonferroni", "holm": "holm", "benjamini-hochberg": "fdr_bh"}
"""Names in statsmodels."""


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
    from statsmodels.stats.multitest import multipletests

    return np.asarray(multipletests(values, method=METHODS[correction])[1], dtype=np.float64)
