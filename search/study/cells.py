"""Figures of arms over seeds, as the tables of studies show them."""

from __future__ import annotations

from collections.abc import Sequence

from eval.report.text import DASH, number
from eval.statistics.estimate import Estimate
from eval.statistics.seeds import summarise_seeds


def mean_over_seeds(values: Sequence[float | None], least: float = 0.0) -> Estimate | None:
    """Over the seeds that have a value; of a single one without width. Figures lie between `least` and 1."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    summary = summarise_seeds(known)
    low, high = summary.interval or (summary.mean, summary.mean)
    return Estimate(summary.mean, max(low, least), min(high, 1.0), summary.n, 0.95, "Student's t over seeds")


def cell(estimate: Estimate | None, signed: bool = False) -> str:
    """Such as `0.412 [0.380, 0.444]`."""
    if estimate is None:
        return DASH
    shown = signed_number if signed else number
    interval = f" [{shown(estimate.low)}, {shown(estimate.high)}]" if estimate.n > 1 else ""
    return f"{shown(estimate.value)}{interval}"


def signed_number(value: float | None) -> str:
    return DASH if value is None else f"{value:+.3f}".replace("-", "−")
