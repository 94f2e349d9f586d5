"""Difference of two accuracies over the same questions, by Tango's score method."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.statistics.estimate import Estimate, require_level

Floats = NDArray[np.float64]


class Discordance(NamedTuple):
    """How two policies differ on the same questions."""

    first_only: int
    second_only: int
    n: int


def discordance(first: ArrayLike, second: ArrayLike) -> Discordance:
    """Counts of the questions that only one of two policies got right; arguments of shape (N,), aligned.

    Raises ValueError where the shapes differ or are empty.
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if a.shape != b.shape or a.ndim != 1 or a.size == 0:
        raise ValueError(f"paired answers need one shape (N,) with N > 0, not {a.shape} and {b.shape}")
    return Discordance(int(np.sum(a & ~b)), int(np.sum(b & ~a)), a.size)


def score_statistic(first_only: ArrayLike, second_only: ArrayLike, n: ArrayLike, difference: ArrayLike) -> Floats:
    """Tango's z for the hypothesis that the accuracies differ by `difference` (Tango 1998, Stat. Med. 17:891-908).

    At difference 0 its square is McNemar's chi-square without continuity correction. Broadcasts.
    """
    b, c, total, delta = (np.asarray(x, dtype=np.float64) for x in (first_only, second_only, n, difference))
    # q: maximum-likelihood estimate of P(only second right) under the hypothesis, root of a quadratic.
    linear = -b - c + (2 * total - b + c) * delta
    constant = -c * delta * (1 - delta)
    q = (np.sqrt(np.maximum(linear**2 - 8 * total * constant, 0)) - linear) / (4 * total)
    variance = total * np.maximum(2 * q + delta * (1 - delta), 0)
    numerator = b - c - total * delta
    with np.errstate(divide="ignore", invalid="ignore"):
        z = numerator / np.sqrt(variance)
    return np.asarray(np.where(numerator == 0, 0.0, z), dtype=np.float64)


def score_bounds(first_only: ArrayLike, second_only: ArrayLike, n: ArrayLike, level: float = 0.95) -> tuple[Any, Any]:
    """Bounds of Tango's interval for many tables at once, in the shape of the counts."""
    from scipy.special import ndtri

    require_level(level)
    critical = ndtri((1 + level) / 2)
    b, c, total = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (first_only, second_only, n)))
    observed = (b - c) / total

    def bound(outer: float, sign: float) -> Floats:
        # z falls from +inf to -inf as the hypothesised difference grows: bisect to double precision.
        inside, outside = observed.copy(), np.full_like(observed, outer)
        for _ in range(60):
            middle = (inside + outside) / 2
            accepted = sign * score_statistic(b, c, total, middle) <= critical
            inside = np.where(accepted, middle, inside)
            outside = np.where(accepted, outside, middle)
        return np.asarray(inside, dtype=np.float64)

    return bound(-1.0, 1.0), bound(1.0, -1.0)


def paired_difference(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> Estimate:
    """Accuracy of the first minus that of the second on the same questions; arguments of shape (N,), aligned.

    The interval is Tango's asymptotic score interval, which holds its level from small n on (recommended by
    Fagerland, Lydersen and Laake 2014, Stat. Med. 33:2850-2875).
    """
    b, c, n = discordance(first, second)
    low, high = score_bounds(b, c, n, level)
    return Estimate((b - c) / n, float(low), float(high), n, level, "Tango score")


def equivalence_p_values(first_only: ArrayLike, second_only: ArrayLike, n: ArrayLike, margin: float) -> Floats:
    """Evidence for "no difference": two one-sided tests with a margin stated beforehand, for many tables at once."""
    from scipy.special import ndtr

    if not 0 < margin < 1:
        raise ValueError(f"the equivalence margin must lie between 0 and 1 (in accuracy), not {margin}")
    not_below = ndtr(-score_statistic(first_only, second_only, n, -margin))
    not_above = ndtr(score_statistic(first_only, second_only, n, margin))
    return np.asarray(np.maximum(not_below, not_above), dtype=np.float64)


def smallest_detectable_difference(
    n: int, discordant_rate: float, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Smallest difference of two accuracies that McNemar's test on `n` shared questions finds with `power`.

    Solves Connor's formula n = (z_a sqrt(d) + z_b sqrt(d - x^2))^2 / x^2 for x (Connor 1987, Biometrics 43:207-211),
    with n x - 1 in the place of n x as the test has it: Edwards' continuity correction, or the exact test, which is
    as cautious. `discordant_rate` d is the share of questions that exactly one of the two gets right. None: not even
    the largest possible difference, d itself, would be found. Raises ValueError unless n >= 1 and 0 < d <= 1.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    if n < 1 or not 0 < discordant_rate <= 1:
        raise ValueError(f"n = {n} and discordant_rate = {discordant_rate} must be at least 1 and within (0, 1]")
    z_alpha, z_beta = float(ndtri(1 - alpha / 2)), float(ndtri(power))

    def surplus(difference: float) -> float:
        spread = max(discordant_rate - difference**2, 0.0)
        return float((difference * n - 1) / n**0.5 - z_alpha * discordant_rate**0.5 - z_beta * spread**0.5)

    if surplus(discordant_rate) < 0:
        return None
    return float(brentq(surplus, 0.0, discordant_rate, xtol=1e-10))
