"""Questions drawn from strata: how many from which, and what that saves of the variance of a mean.

Questions of a pool are ordered by something known of them beforehand and cut into strata; from each a part in
proportion to its size is drawn, so that the plain mean of the drawn ones is unbiased but for rounding. The pool is a
random sample itself, so the variance of a mean over n of P questions is W / n + B / P, with W within strata and B
between them: double sampling for stratification (Cochran 1977, Sampling Techniques, ch. 5 and 12). That of n questions
drawn at random is (W + B) / n, never less.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from eval.statistics.estimate import Estimate, half_t, require_level


def draw_strata(values: Sequence[float], count: int, strata: int, generator: np.random.Generator) -> list[list[int]]:
    """Places of `count` of the values, by stratum of rising values; ties stand in random order, and may so fall into
    two strata.

    The strata differ by at most one in what is drawn of them, and are cut from all values in proportion to that.
    Raises ValueError unless 1 <= strata <= count <= len(values).
    """
    if not 1 <= strata <= count <= len(values):
        raise ValueError(f"{count} of {len(values)} values cannot be drawn from {strata} strata")
    order = sorted(generator.permutation(len(values)).tolist(), key=lambda place: values[place])
    drawn = [count * k // strata for k in range(strata + 1)]
    bounds = [len(values) * taken // count for taken in drawn]
    return [
        sorted(generator.choice(order[bounds[k] : bounds[k + 1]], drawn[k + 1] - drawn[k], replace=False).tolist())
        for k in range(strata)
    ]


def variance_saved(values: ArrayLike, strata: Sequence[int], pool: int, level: float = 0.95) -> Estimate | None:
    """Share of the variance of a mean over questions that strata save, on average over the rows of `values`, shape
    (policies, questions); `strata`: of each question; `pool`: questions that the strata were cut from.

    One minus a ratio of sums over questions; its interval is that of the linearised ratio for new questions (Cochran
    1977, ch. 6), for these policies. None where nothing varies, or a stratum has fewer than two questions.
    """
    require_level(level)
    table, which = np.asarray(values, dtype=np.float64), np.asarray(strata)
    questions = table.shape[1]
    whole = ((table - table.mean(axis=1, keepdims=True)) ** 2).mean(axis=0) * questions / (questions - 1)
    within = np.empty(questions)
    for stratum in np.unique(which):
        part = table[:, which == stratum]
        own = part.shape[1]
        if own < 2:
            return None
        within[which == stratum] = ((part - part.mean(axis=1, keepdims=True)) ** 2).mean(axis=0) * own / (own - 1)
    if not whole.any():
        return None
    kept = 1 - questions / pool
    ratio = float(within.sum() / whole.sum())
    deviation = float(((within - ratio * whole) / whole.mean()).std(ddof=1))
    half = kept * half_t(deviation, questions - 1, level) / questions**0.5
    saved = kept * (1 - ratio)
    return Estimate(saved, saved - half, saved + half, questions, level, "linearised ratio over questions")
