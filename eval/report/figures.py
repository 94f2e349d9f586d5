"""The report's figures as SVG, drawn with classes so that light, dark and print share one drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup, escape

from eval.report.scale import Scale, padded_domain
from eval.report.text import compact, number
from eval.statistics.estimate import Estimate

_RADIUS = 4.5


class RoundPoint(NamedTuple):
    round: int
    label: str
    anchor: str
    f1: Estimate
    marked: bool
    """Member of the winning entry."""


class Level(NamedTuple):
    """A horizontal line: a control's F1."""

    label: str
    value: float


class RoundMean(NamedTuple):
    round: int
    mean: float
    low: float | None
    high: float | None


class SplitPoint(NamedTuple):
    label: str
    title: str
    validation: Estimate
    test: Estimate
    kind: str
    """`winner`, `control` or `other`."""


def _svg(width: float, height: float, title: str, body: Sequence[Markup], kind: str = "figure") -> Markup:
    return Markup(
        '<svg class="{}" viewBox="0 0 {:g} {:g}" width="{:g}" height="{:g}" role="img" aria-label="{}">{}</svg>'
    ).format(kind, width, height, width, height, title, Markup("").join(body))


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>').format(x1, y1, x2, y2, kind)


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "label") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" class="{}">{}</text>').format(x, y, anchor, kind, text)


def _circle(x: float, y: float, kind: str, title: str, radius: float = _RADIUS) -> Markup:
    return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{:g}" class="{}"><title>{}</title></circle>').format(
        x, y, radius, kind, title
    )


def _digits(ticks: Sequence[float]) -> int:
    """Decimals that tell the ticks apart."""
    gaps = [b - a for a, b in pairwise(ticks)]
    return max(0, -math.floor(math.log10(min(gaps)) + 1e-9)) if gaps else 2


def rounds_figure(
    rounds: Sequence[int],
    points: Sequence[RoundPoint],
    means: Sequence[RoundMean],
    levels: Sequence[Level],
    unscored: dict[int, int],
    width: int = 1000,
) -> Markup | None:
    """F1 on the selection split by round: every scored candidate a point, controls as lines; None without points."""
    if not points:
        return None
    narrow = width < 500
    height = 340 if narrow else 380
    left, right, top, bottom = (38, 12, 16, 52) if narrow else (46, 172 if levels else 16, 16, 52)
    bounds = [v for point in points for v in (point.f1.low, point.f1.high)] + [level.value for level in levels]
    y = Scale(padded_domain(bounds, within=(0.0, 1.0)), (height - bottom, top))
    column = (width - left - right) / len(rounds)
    centre = {number: left + column * (k + 0.5) for k, number in enumerate(rounds)}
    body: list[Markup] = []
    ticks = y.ticks(5)
    for tick in ticks:
        body.append(_line(left, y(tick), width - right, y(tick), "grid"))
        body.append(_text(left - 8, y(tick) + 4, number(tick, _digits(ticks)), "end"))
    controls = _levels(levels, y, left, width - right, narrow)
    body.extend(controls[::2])
    for mean in means:
        x = centre[mean.round]
        half = min(column * 0.4, 60)
        if mean.low is not None and mean.high is not None:
            low, high = max(mean.low, y.domain[0]), min(mean.high, y.domain[1])
            body.append(
                Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="band"/>').format(
                    x - half, y(high), 2 * half, max(y(low) - y(high), 1)
                )
            )
        body.append(_line(x - half, y(mean.mean), x + half, y(mean.mean), "mean"))
    for number_ in rounds:
        x = centre[number_]
        body.append(
            _text(
                x, height - bottom + 20, f"round {number_}" if not narrow else f"R{number_}", "middle", "label strong"
            )
        )
        missing = unscored.get(number_, 0)
        scored = sum(point.round == number_ for point in points)
        remark = f"{scored} scored" + (f", {missing} not" if missing else "")
        body.append(_text(x, height - bottom + 36, remark if not narrow else f"{scored} + {missing}", "middle"))
    spread = _spread(points, y, column)
    for point, offset in spread:
        x = centre[point.round] + offset
        body.append(_line(x, y(point.f1.low), x, y(point.f1.high), "whisker marked" if point.marked else "whisker"))
    for point, offset in spread:
        title = f"{point.label}: F1 {number(point.f1.value)} [{number(point.f1.low)}, {number(point.f1.high)}]"
        kind = "point marked" if point.marked else "point"
        dot = _circle(centre[point.round] + offset, y(point.f1.value), kind, title)
        body.append(Markup('<a href="#{}">{}</a>').format(point.anchor, dot))
    body.extend(controls[1::2])
    return _svg(width, height, "F1 by round, one point per scored candidate", body)


def _levels(levels: Sequence[Level], y: Scale, left: float, right: float, narrow: bool) -> list[Markup]:
    """Labels stand beside the plot, or inside it where it is narrow."""
    body = []
    last = -math.inf
    for level in sorted(levels, key=lambda level: -level.value):
        body.append(_line(left, y(level.value), right, y(level.value), "control"))
        height = max(y(level.value) + (-5 if narrow else 4), last + 14)
        last = height
        if narrow:
            body.append(_text(right, height, level.label, "end", "label control"))
        else:
            body.append(_text(right + 8, height, f"{level.label} {number(level.value)}", "start", "label control"))
    return body


def _spread(points: Sequence[RoundPoint], y: Scale, column: float) -> list[tuple[RoundPoint, float]]:
    """Sideways offsets that keep the points of a round apart."""
    placed: list[tuple[RoundPoint, float]] = []
    step = 2 * _RADIUS + 1.5
    reach = max(int(column * 0.4 / step), 1)
    for point in sorted(points, key=lambda point: (point.round, -point.f1.value, point.label)):
        neighbours = [
            offset
            for other, offset in placed
            if other.round == point.round and abs(y(other.f1.value) - y(point.f1.value)) < step
        ]
        slots = [0.0] + [sign * k * step for k in range(1, reach + 1) for sign in (1, -1)]
        free = [slot for slot in slots if all(abs(slot - offset) >= step - 0.1 for offset in neighbours)]
        placed.append((point, free[0] if free else slots[len(placed) % len(slots)]))
    return placed


def forest_domain(estimates: Sequence[Estimate]) -> tuple[float, float] | None:
    """The common axis of the bars beside a leaderboard."""
    bounds = [v for estimate in estimates for v in (estimate.low, estimate.high)]
    return padded_domain(bounds, 0.05, within=(0.0, 1.0)) if bounds else None


def forest_bar(
    estimate: Estimate, domain: tuple[float, float], reference: float | None, kind: str, width: int = 180
) -> Markup:
    """One line of a forest plot: interval, point, and a reference value as a vertical line."""
    height = 22
    x = Scale(domain, (4, width - 4))
    body = []
    if reference is not None:
        body.append(_line(x(reference), 0, x(reference), height, "reference"))
    title = f"F1 {number(estimate.value)} [{number(estimate.low)}, {number(estimate.high)}]"
    body.append(_line(x(estimate.low), height / 2, x(estimate.high), height / 2, f"whisker {kind}"))
    body.append(_circle(x(estimate.value), height / 2, f"point {kind}", title, 4))
    return _svg(width, height, title, body, "forest")


def forest_axis(domain: tuple[float, float], width: int = 180) -> Markup:
    x = Scale(domain, (4, width - 4))
    ticks = x.ticks(4)
    body = [_line(4, 0.5, width - 4, 0.5, "axis")]
    for tick in ticks:
        body.append(_line(x(tick), 0, x(tick), 4, "axis"))
        edge = "start" if x(tick) < 14 else "end" if x(tick) > width - 14 else "middle"
        body.append(_text(x(tick), 16, number(tick, _digits(ticks)), edge))
    return _svg(width, 20, "axis of F1", body, "forest")


def splits_figure(points: Sequence[SplitPoint], width: int = 420) -> Markup | None:
    """F1 on validation against F1 on test, with both intervals and the line of equality; None without points."""
    if not points:
        return None
    height, left, right, top, bottom = width, 46, 14, 14, 46
    bounds = [v for p in points for v in (p.validation.low, p.validation.high, p.test.low, p.test.high)]
    domain = padded_domain(bounds, 0.04, within=(0.0, 1.0))
    x, y = Scale(domain, (left, width - right)), Scale(domain, (height - bottom, top))
    body: list[Markup] = []
    ticks = x.ticks(5)
    for tick in ticks:
        text = number(tick, _digits(ticks))
        body.append(_line(left, y(tick), width - right, y(tick), "grid"))
        body.append(_line(x(tick), top, x(tick), height - bottom, "grid"))
        body.append(_text(left - 8, y(tick) + 4, text, "end"))
        body.append(_text(x(tick), height - bottom + 18, text, "middle"))
    body.append(_line(x(domain[0]), y(domain[0]), x(domain[1]), y(domain[1]), "equal"))
    body.append(_text((left + width - right) / 2, height - 8, "F1 on validation", "middle", "label strong"))
    body.append(_text(left + 6, top + 12, "F1 on test", "start", "label strong"))
    for point in points:
        px, py = x(point.validation.value), y(point.test.value)
        body.append(_line(x(point.validation.low), py, x(point.validation.high), py, f"whisker {point.kind}"))
        body.append(_line(px, y(point.test.low), px, y(point.test.high), f"whisker {point.kind}"))
    for point in points:
        px, py = x(point.validation.value), y(point.test.value)
        body.append(_circle(px, py, f"point {point.kind}", point.title, 8.5))
        body.append(_text(px, py + 3.5, point.label, "middle", f"rank {point.kind}"))
    return _svg(width, height, "F1 on validation against F1 on test", body)


def curve_figure(name: str, steps: Sequence[float], values: Sequence[float], width: int = 210) -> Markup | None:
    """One training curve, small; None with fewer than two finite values."""
    pairs = [(s, v) for s, v in zip(steps, values, strict=True) if math.isfinite(s) and math.isfinite(v)]
    if len(pairs) < 2 or pairs[0][0] == pairs[-1][0]:
        return None
    pairs = _thinned(pairs)
    height, top, bottom = 84, 22, 16
    x = Scale((pairs[0][0], pairs[-1][0]), (2, width - 2))
    y = Scale(padded_domain([value for _, value in pairs], 0.06), (height - bottom, top))
    path = " ".join(f"{'M' if k == 0 else 'L'}{x(s):.1f} {y(v):.1f}" for k, (s, v) in enumerate(pairs))
    values_seen = [value for _, value in pairs]
    body = [
        _text(2, 12, name, "start", "label strong"),
        _text(width - 2, 12, compact(pairs[-1][1]), "end"),
        _line(2, height - bottom, width - 2, height - bottom, "grid"),
        Markup('<path d="{}" class="curve"/>').format(path),
        _text(2, height - 4, f"step {compact(pairs[0][0])}", "start", "label faint"),
        _text(width - 2, height - 4, compact(pairs[-1][0]), "end", "label faint"),
    ]
    title = f"{name}: {compact(min(values_seen))} to {compact(max(values_seen))}, at the end {compact(pairs[-1][1])}"
    return _svg(width, height, title, [Markup("<title>{}</title>").format(escape(title)), *body], "curve")


def _thinned(pairs: list[tuple[float, float]], most: int = 100) -> list[tuple[float, float]]:
    """Means of equal runs of points, so that long trainings stay small."""
    if len(pairs) <= most:
        return pairs
    size = math.ceil(len(pairs) / most)
    runs = [pairs[k : k + size] for k in range(0, len(pairs), size)]
    return [(run[-1][0], sum(value for _, value in run) / len(run)) for run in runs]
