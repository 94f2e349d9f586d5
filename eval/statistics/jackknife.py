"""Standard errors and intervals of figures whose units come in groups, such as rollouts of one question."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.statistics.estimate import Interval, require_level

Keep = NDArray[np.bool_]
Statistic = Callable[[Keep], float | None]
"""Units to count, shape (N,) → the figure of those; None where it is undefined."""


def group_jackknife(statistic: Statistic, groups: Sequence[Hashable]) -> float | None:
    """Standard error of `statistic` over groups, each left out once (Efron and Tibshirani 1993, eq. 11.5).

    `groups`, shape (N,): equal for units that hang together. None with fewer than two groups, or where the figure
    is undefined without one of them: it rests on that group alone then.
    """
    names = list(dict.fromkeys(groups))
    if len(names) < 2:
        return None
    place = {name: k for k, name in enumerate(names)}
    member = np.array([place[group] for group in groups])
    found = [statistic(member != k) for k in range(len(names))]
    known = np.array([value for value in found if value is not None], dtype=np.float64)
    if known.size < len(names):
        return None
    return float(np.sqrt((len(names) - 1) * known.var()))


def share_interval(value: float, error: float, groups: int, level: float = 0.95) -> Interval:
    """Student's t over groups on the logit of a share 0 < value < 1, so that the bounds stay within (0, 1)."""
    centre = np.log(value / (1 - value))
    half = _half(error, groups, level) / (value * (1 - value))
    return Interval(*(float(1 / (1 + np.exp(-bound))) for bound in (centre - half, centre + half)))


def correlation_interval(value: float, error: float, groups: int, level: float = 0.95) -> Interval:
    """The same on Fisher's z of a correlation -1 < value < 1."""
    centre, half = np.arctanh(value), _half(error, groups, level) / (1 - value**2)
    return Interval(float(np.tanh(centre - half)), float(np.tanh(centre + half)))


def _half(error: float, groups: int, level: float) -> float:
    from scipy.special import stdtrit

    require_level(level)
    return float(stdtrit(groups - 1, (1 + level) / 2)) * error
