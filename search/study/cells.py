"""Figures of arms over seeds, as the tables of studies show them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from eval.report.text import DASH, number
from eval.statistics.estimate import Estimate
from eval.statistics.seeds import summarise_seeds

Bounds = tuple[float, float]
"""Values that a figure can have; its interval is cut to them."""

SHARE: Bounds = (0.0, 1.0)
CHANGE: Bounds = (-1.0, 1.0)
POSITIVE: Bounds = (0.0, math.inf)
ANY: Bounds = (-math.inf, math.inf)


def mean_over_seeds(values: Sequence[float | None], bounds: Bounds = SHARE) -> Estimate | None:
    """Over the seeds that have a value, with Student's t interval; of a single one without width."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    summary = summarise_seeds(known)
    low, high = summary.interval or (summary.mean, summary.mean)
    return Estimate(summary.mean, max(low, bounds[0]), min(high, bounds[1]), summary.n, 0.95, "Student's t over seeds")


def cell(estimate: Estimate | None, shown: Callable[[float], str] = number) -> str:
    """Such as `0.412 [0.380, 0.444]`; without the interval where there is one value only."""
    if estimate is None:
        return DASH
    interval = f" [{shown(estimate.low)}, {shown(estimate.high)}]" if estimate.n > 1 else ""
    return f"{shown(estimate.value)}{interval}"
