"""Training curves: small ones of a single candidate, and those of all candidates one above the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from eval.report.figures.figure import ACCENT, PAGE, SOFT, Scale, padded_domain
from eval.report.figures.svg import line, path, svg, text
from eval.report.text import compact

_POINTS_ALONE, _POINTS_TOGETHER = 100, 40


class Curve(NamedTuple):
    label: str
    steps: tuple[float, ...]
    values: tuple[float, ...]
    marked: bool


@dataclass(frozen=True, slots=True)
class TrainingFigure:
    """One panel for every logged figure, with the curve of every candidate in it."""

    panels: tuple[tuple[str, tuple[Curve, ...]], ...]
    """At least one; every curve with two steps or more."""

    name = "training"

    def svg(self, width: int) -> Markup:
        """The panels one after the other; the style sheet sets them side by side."""
        return Markup("").join(self._panel(name, curves, width) for name, curves in self.panels)

    def _panel(self, name: str, curves: Sequence[Curve], width: int) -> Markup:
        height, left, right, top, bottom = 180, 38, 4, 26, 22
        steps = [step for curve in curves for step in curve.steps]
        x = Scale((min(steps), max(steps)), (left, width - right))
        y = Scale(padded_domain([v for curve in curves for v in curve.values], 0.05), (height - bottom, top))
        body = [text(0, 12, name, "start", "label strong")]
        for tick in y.ticks(4):
            body.append(line(left, y(tick), width - right, y(tick), "grid"))
            body.append(text(left - 6, y(tick) + 4, compact(tick), "end", "label faint"))
        body.append(text(left, height - 4, f"step {compact(min(steps))}", "start", "label faint"))
        body.append(text(width - right, height - 4, compact(max(steps)), "end", "label faint"))
        for curve in sorted(curves, key=lambda curve: curve.marked):
            pairs = _thinned(list(zip(curve.steps, curve.values, strict=True)), _POINTS_TOGETHER)
            drawn = path([(x(step), y(value)) for step, value in pairs], "many marked" if curve.marked else "many")
            body.append(Markup("<g><title>{}</title>{}</g>").format(curve.label, drawn))
        return svg(width, height, f"{name} by step, one line per candidate", body, "panel")

    def paper(self) -> Any:
        from matplotlib.figure import Figure

        columns = min(3, len(self.panels))
        rows = math.ceil(len(self.panels) / columns)
        figure = Figure(figsize=(PAGE, 1.7 * rows))
        for k, (name, curves) in enumerate(self.panels, start=1):
            axes = figure.add_subplot(rows, columns, k)
            for curve in sorted(curves, key=lambda curve: curve.marked):
                colour, alpha = (ACCENT, 0.95) if curve.marked else (SOFT, 0.3)
                axes.plot(curve.steps, curve.values, color=colour, alpha=alpha, linewidth=1 if curve.marked else 0.6)
            axes.set_title(name, loc="left", fontsize=8)
            axes.grid(axis="y")
            axes.tick_params(length=2)
            if k > len(self.panels) - columns:
                axes.set_xlabel("step")
        return figure


def curve_figure(name: str, steps: Sequence[float], values: Sequence[float], width: int = 210) -> Markup | None:
    """One training curve, small; None with fewer than two finite values."""
    pairs = finite_pairs(steps, values)
    if not pairs:
        return None
    seen = [value for _, value in pairs]
    pairs = _thinned(pairs, _POINTS_ALONE)
    height, top, bottom = 84, 22, 16
    x = Scale((pairs[0][0], pairs[-1][0]), (2, width - 2))
    y = Scale(padded_domain([value for _, value in pairs], 0.06), (height - bottom, top))
    body = [
        text(2, 12, name, "start", "label strong"),
        text(width - 2, 12, compact(pairs[-1][1]), "end"),
        line(2, height - bottom, width - 2, height - bottom, "grid"),
        path([(x(step), y(value)) for step, value in pairs], "curve"),
        text(2, height - 4, f"step {compact(pairs[0][0])}", "start", "label faint"),
        text(width - 2, height - 4, compact(pairs[-1][0]), "end", "label faint"),
    ]
    title = f"{name}: {compact(min(seen))} to {compact(max(seen))}, at the end {compact(pairs[-1][1])}"
    return svg(width, height, title, [Markup("<title>{}</title>").format(escape(title)), *body], "curve")


def finite_pairs(steps: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """Steps with finite values; empty where they are fewer than two, or all of one step."""
    pairs = [(s, v) for s, v in zip(steps, values, strict=True) if math.isfinite(s) and math.isfinite(v)]
    return pairs if len(pairs) > 1 and pairs[0][0] != pairs[-1][0] else []


def _thinned(pairs: list[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Means of equal runs of points, so that long trainings stay small."""
    if len(pairs) <= most:
        return pairs
    size = math.ceil(len(pairs) / most)
    runs = [pairs[k : k + size] for k in range(0, len(pairs), size)]
    return [(run[-1][0], sum(value for _, value in run) / len(run)) for run in runs]
