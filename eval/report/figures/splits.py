"""F1 on validation against F1 on test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from eval.report.figures.figure import COLUMN, SOFT, Scale, blank, kind_colour, kind_marker, padded_domain
from eval.report.figures.svg import line, mark, svg, text, tick_digits
from eval.report.text import interval, number
from eval.statistics.estimate import Estimate


class SplitPoint(NamedTuple):
    label: str
    title: str
    validation: Estimate
    test: Estimate
    kind: str
    """`winner`, `control` or `other`."""


@dataclass(frozen=True, slots=True)
class SplitsFigure:
    points: tuple[SplitPoint, ...]
    """At least one."""

    name = "validation-against-test"

    @property
    def domain(self) -> tuple[float, float]:
        estimates = [estimate for point in self.points for estimate in (point.validation, point.test)]
        return padded_domain([v for e in estimates for v in (e.low, e.high)], 0.04, within=(0.0, 1.0))

    def svg(self, width: int) -> Markup:
        height, left, right, top, bottom = width, 40, 8, 24, 46
        domain = self.domain
        x, y = Scale(domain, (left, width - right)), Scale(domain, (height - bottom, top))
        body: list[Markup] = [text(0, 10, "F1 on test", "start", "label strong")]
        ticks = x.ticks(5)
        for tick in ticks:
            words = number(tick, tick_digits(ticks))
            body.append(line(left, y(tick), width - right, y(tick), "grid"))
            body.append(line(x(tick), top, x(tick), height - bottom, "grid"))
            body.append(text(left - 8, y(tick) + 4, words, "end"))
            body.append(text(x(tick), height - bottom + 18, words, "middle"))
        body.append(line(x(domain[0]), y(domain[0]), x(domain[1]), y(domain[1]), "equal"))
        body.append(text(width - right, height - 8, "F1 on validation", "end", "label strong"))
        for point in self.points:
            px, py = x(point.validation.value), y(point.test.value)
            body.append(line(x(point.validation.low), py, x(point.validation.high), py, f"whisker {point.kind}"))
            body.append(line(px, y(point.test.low), px, y(point.test.high), f"whisker {point.kind}"))
        for point in sorted(self.points, key=lambda point: point.kind == "winner"):
            px, py = x(point.validation.value), y(point.test.value)
            title = (
                f"{point.title}: validation {number(point.validation.value)} {interval(point.validation)}, "
                f"test {number(point.test.value)} {interval(point.test)}"
            )
            body.append(mark(px, py, f"point {point.kind}", title, 5))
        return svg(width, height, "F1 on validation against F1 on test", [*body, *self._labels(x, y)])

    def _labels(self, x: Scale, y: Scale) -> list[Markup]:
        """Ranks beside the points."""
        dots = [(x(point.validation.value), y(point.test.value)) for point in self.points]
        return [
            text(px, py + 4, point.label, "middle", "label halo accent" if point.kind == "winner" else "label halo")
            for point, (px, py) in zip(self.points, label_places(dots), strict=True)
        ]

    def paper(self) -> Any:
        figure, axes = blank(COLUMN, COLUMN)
        axes.plot(self.domain, self.domain, color=SOFT, linewidth=0.7, linestyle=(0, (2, 3)))
        for point in self.points:
            colour = kind_colour(point.kind)
            px, py = point.validation.value, point.test.value
            axes.plot([point.validation.low, point.validation.high], [py, py], color=colour, linewidth=0.6, alpha=0.45)
            axes.plot([px, px], [point.test.low, point.test.high], color=colour, linewidth=0.6, alpha=0.45)
            axes.plot(px, py, linestyle="none", **kind_marker(point.kind))
        scale = Scale(self.domain, (0.0, 260.0))
        dots = [(scale(point.validation.value), scale(point.test.value)) for point in self.points]
        for point, (px, py), (lx, ly) in zip(self.points, dots, label_places(dots), strict=True):
            axes.annotate(
                point.label,
                (point.validation.value, point.test.value),
                ((lx - px) * 0.75, (ly - py) * 0.75),
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=6,
                color=kind_colour(point.kind),
            )
        axes.set_xlim(*self.domain)
        axes.set_ylim(*self.domain)
        axes.set_aspect("equal")
        axes.set_xlabel("F1 on validation")
        axes.set_ylabel("F1 on test")
        axes.grid()
        return figure


def label_places(dots: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """For every dot a place close by, where its label stands farthest from the dots and from the labels before it."""
    taken, places = list(dots), []
    for px, py in dots:
        rays = [(r * math.cos(k * math.pi / 8), r * math.sin(k * math.pi / 8)) for r in (13, 19) for k in range(16)]
        spots = [(px + dx, py + dy) for dx, dy in rays if abs(dx) > 3 and abs(dy) > 3]
        best = max(spots, key=lambda s: min(math.dist(s, other) for other in taken) - math.dist(s, (px, py)) / 4)
        taken.append(best)
        places.append(best)
    return places
