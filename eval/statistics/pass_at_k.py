"""pass@k: the chance that at least one of k sampled answers is right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eval.statistics.concordance import mean_share
from eval.statistics.estimate import Estimate


def pass_at_k(right: Sequence[int], samples: Sequence[int], k: int, level: float = 0.95) -> Estimate | None:
    """Mean over questions of the unbiased estimator 1 - C(n - c, k) / C(n, k) (Chen et al. 2021, arXiv 2107.03374,
    eq. 1), with an interval for new questions.

    `right`: c of each question, `samples`: n of each. None with fewer than two questions. Raises ValueError where a
    question has fewer than k samples or more right ones than samples.
    """
    return mean_share(question_pass_at_k(right, samples, k).tolist(), level)


def question_pass_at_k(right: Sequence[int], samples: Sequence[int], k: int) -> NDArray[np.float64]:
    """The estimator of each question, shape (N,)."""
    c, n = np.asarray(right, dtype=np.int64), np.asarray(samples, dtype=np.int64)
    if c.shape != n.shape or c.ndim != 1:
        raise ValueError(f"{c.size} counts of right answers and {n.size} of samples do not belong together")
    if k < 1 or (n < k).any():
        raise ValueError(f"k = {k} must be at least 1 and at most the number of samples of every question")
    if ((c < 0) | (c > n)).any():
        raise ValueError("a question cannot have fewer than 0 or more right answers than samples")
    # C(n - c, k) / C(n, k) as a product of k factors; where n - c < k one of them is 0.
    none_right = np.ones(c.shape)
    for drawn in range(k):
        none_right *= np.maximum(n - c - drawn, 0) / (n - drawn)
    return 1 - none_right
