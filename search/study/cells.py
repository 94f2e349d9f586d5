"""Figures of arms over seeds, as tables and drawings of studies show them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeVar

from eval.report.study.data import Trajectory
from eval.report.text import DASH, number, signed_number
from eval.statistics.estimate import Estimate
from eval.statistics.seeds import summarise_seeds

T = TypeVar("T")
U = TypeVar("U")

Bounds = Literal["share", "change", "positive", "any"]
_BOUNDS: dict[Bounds, tuple[float, float]] = {
    "share": (0.0, 1.0),
    "change": (-1.0, 1.0),
    "positive": (0.0, math.inf),
    "any": (-math.inf, math.inf),
}
"""Values that a figure can have; its interval is cut to them."""


def each(runs: Iterable[T | None], figure: Callable[[T], U | None]) -> list[U | None]:
    """Of every run; None where there is no run."""
    return [None if run is None else figure(run) for run in runs]


def by_seed(
    found: Mapping[str, Sequence[T | None]], figure: Callable[[T], float | None]
) -> dict[str, list[float | None]]:
    """By arm."""
    return {arm: each(runs, figure) for arm, runs in found.items()}


def mean(values: Iterable[float | None]) -> float | None:
    """Of the values that there are."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def change(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def mean_over_seeds(values: Iterable[float | None], bounds: Bounds = "share") -> Estimate | None:
    """Over the seeds that have a value, with Student's t interval; of a single one without width."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    summary, (least, most) = summarise_seeds(known), _BOUNDS[bounds]
    low, high = summary.interval or (summary.mean, summary.mean)
    return Estimate(summary.mean, max(low, least), min(high, most), summary.n, 0.95, "Student's t over seeds")


def estimate_cell(estimate: Estimate | None, digits: int = 3, *, signed: bool = False, bare: bool = False) -> str:
    """Such as `0.412 [0.380, 0.444]`; without the interval if `bare`, or where there is one value only."""
    if estimate is None:
        return DASH
    value, low, high = (
        signed_number(figure, digits) if signed else number(figure, digits)
        for figure in (estimate.value, estimate.low, estimate.high)
    )
    return value if bare or estimate.n == 1 else f"{value} [{low}, {high}]"


def cell(
    values: Iterable[float | None],
    bounds: Bounds = "share",
    digits: int = 3,
    *,
    signed: bool = False,
    bare_if_equal: bool = False,
) -> str:
    """The mean over seeds; `bare_if_equal`: without an interval where all seeds agree."""
    values = list(values)
    bare = bare_if_equal and len(set(values) - {None}) == 1
    return estimate_cell(mean_over_seeds(values, bounds), digits, signed=signed, bare=bare)


def trajectory(arm: str, runs: Sequence[Sequence[float | None]], places: int) -> Trajectory:
    means = tuple(mean_over_seeds(run[place] for run in runs) for place in range(places))
    return Trajectory(arm=arm, runs=tuple(tuple(run) for run in runs), means=means)
