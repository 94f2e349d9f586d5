"""Bootstrap intervals: percentile and BCa (Efron 1987, JASA 82:171-185), seeded and vectorised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.metrics import f1_of_accuracy
from eval.statistics.estimate import Estimate, Interval, require_level, wilson_interval

Floats = NDArray[np.float64]

RESAMPLES = 10_000


def bootstrap_accuracy(
    correct: Sequence[bool] | NDArray[Any],
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    transform: Callable[[Any], Any] = lambda accuracy: accuracy,
) -> Estimate:
    """Accuracy over questions, or a `transform` of it that grows with it, with BCa bounds; `correct` of shape (N,).

    The number right in a resample of N questions is Binomial(N, k / N) exactly, so it is drawn as such instead of
    N indices. With no or all questions right every resample is alike and a bootstrap says nothing: the Wilson
    interval is given then (of a transform its image), and `method` says so. Raises ValueError for an empty input.
    """
    values = np.asarray(correct, dtype=bool)
    n, right = values.size, int(values.sum())
    if n == 0:
        raise ValueError("there is nothing to bootstrap: no questions were given")
    value = transform(right / n)
    if right in (0, n):
        wilson = wilson_interval(right, n, level)
        return Estimate(value, transform(wilson.low), transform(wilson.high), n, level, wilson.method)
    draws = transform(np.random.default_rng(seed).binomial(n, right / n, size=resamples) / n)
    # Leaving out one question gives only two distinct values, by whether it was right.
    without_right, without_wrong = transform((right - 1) / (n - 1)), transform(right / (n - 1))
    jackknife = np.repeat([without_right, without_wrong], [right, n - right])
    return Estimate(value, *bca_bounds(value, draws, jackknife, level), n, level, "BCa bootstrap")


def bootstrap_f1(
    correct: Sequence[bool] | NDArray[Any], level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """F1 = 2a / (1 + a) over questions, `correct` of shape (N,). See `bootstrap_accuracy`.

    By enumeration over accuracies of 0.05 to 0.95, BCa intervals of level 0.95 cover 0.953 on average and 0.935 at the
    worst accuracy with N = 100, 0.949 and 0.945 with N = 1,319; percentile ones 0.944 and 0.878, 0.948 and 0.942.
    """
    return bootstrap_accuracy(correct, level, resamples, seed, f1_of_accuracy)


def percentile_bounds(draws: Floats, level: float) -> Interval:
    """The middle `level` of the bootstrap distribution `draws`, shape (B,)."""
    require_level(level)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def bca_bounds(value: float, draws: Floats, jackknife: Floats, level: float) -> Interval:
    """Bias-corrected and accelerated bounds (Efron 1987, eq. 2.3 and 6.6; draws equal to the estimate count half).

    `draws`: bootstrap distribution, shape (B,); `jackknife`: the estimate without each unit in turn, shape (N,).
    """
    from scipy.special import ndtr, ndtri

    require_level(level)
    below = (np.mean(draws < value) + np.mean(draws <= value)) / 2
    bias = ndtri(below)
    influence = jackknife.mean() - jackknife
    spread = float(np.sum(influence**2))
    acceleration = float(np.sum(influence**3)) / (6 * spread**1.5) if spread > 0 else 0.0
    if not np.isfinite(bias):
        return percentile_bounds(draws, level)
    quantiles = bias + ndtri([(1 - level) / 2, (1 + level) / 2])
    low, high = np.quantile(draws, ndtr(bias + quantiles / (1 - acceleration * quantiles)))
    return Interval(float(low), float(high))
