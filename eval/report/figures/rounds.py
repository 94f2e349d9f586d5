"""F1 on the selection split by round, every scored candidate a point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from eval.report.figures.figure import ACCENT, INK, PAGE, SOFT, Scale, blank, padded_domain
from eval.report.figures.svg import RADIUS, f1_title, line, link, mark, rectangle, shortened, svg, text, value_axis
from eval.report.text import number
from eval.statistics.estimate import Estimate
from eval.statistics.seeds import SeedSummary


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


@dataclass(frozen=True, slots=True)
class RoundsFigure:
    rounds: tuple[int, ...]
    points: tuple[RoundPoint, ...]
    """At least one."""
    means: tuple[tuple[int, SeedSummary], ...] = ()
    """Mean F1 of a round's candidates, with its interval over them."""
    levels: tuple[Level, ...] = ()
    unscored: dict[int, int] | None = None
    """Candidates without a score, by round."""

    name = "f1-by-round"

    @property
    def domain(self) -> tuple[float, float]:
        bounds = [v for point in self.points for v in (point.f1.low, point.f1.high)]
        return padded_domain(bounds + [level.value for level in self.levels], within=(0.0, 1.0))

    def svg(self, width: int) -> Markup:
        narrow = width < 500
        height = 330 if narrow else 400
        left, right, top, bottom = (34, 6, 24, 48) if narrow else (40, 172 if self.levels else 16, 24, 50)
        y = Scale(self.domain, (height - bottom, top))
        column = (width - left - right) / len(self.rounds)
        centre = {number: left + column * (k + 0.5) for k, number in enumerate(self.rounds)}
        body = [text(0, 10, "F1", "start", "label strong"), *value_axis(y, left, width - right)]
        half = min(column * 0.42, 64)
        for round_, mean in self.means:
            x = centre[round_]
            if mean.interval:
                low, high = max(mean.interval.low, y.domain[0]), min(mean.interval.high, y.domain[1])
                body.append(rectangle(x - half, y(high), 2 * half, max(y(low) - y(high), 1), "band"))
        lines, labels = self._levels(y, left, width - right, narrow)
        body += lines
        for round_, mean in self.means:
            x = centre[round_]
            body.append(line(x - half, y(mean.mean), x + half, y(mean.mean), "mean"))
        for round_ in self.rounds:
            body += self._foot(round_, centre[round_], height - bottom, narrow)
        placed = _spread(self.points, y, column)
        for point, offset in placed:
            x = centre[point.round] + offset
            body.append(line(x, y(point.f1.low), x, y(point.f1.high), "whisker winner" if point.marked else "whisker"))
        for point, offset in placed:
            kind = "point winner" if point.marked else "point"
            dot = mark(centre[point.round] + offset, y(point.f1.value), kind, f1_title(point.label, point.f1))
            body.append(link(point.anchor, dot))
        title = "F1 by round, one point per scored candidate"
        return svg(width, height, title, [*body, *self._best(placed, centre, y, narrow), *labels])

    def _foot(self, round_: int, x: float, y: float, narrow: bool) -> list[Markup]:
        missing = (self.unscored or {}).get(round_, 0)
        scored = sum(point.round == round_ for point in self.points)
        if narrow:
            return [
                text(x, y + 20, f"R{round_}", "middle", "label strong"),
                text(x, y + 36, f"{scored} of {scored + missing}", "middle"),
            ]
        remark = f"{scored} scored" + (f", {missing} not" if missing else "")
        return [
            text(x, y + 22, f"round {round_}", "middle", "label strong"),
            text(x, y + 39, remark, "middle"),
        ]

    def _best(
        self, placed: Sequence[tuple[RoundPoint, float]], centre: dict[int, float], y: Scale, narrow: bool
    ) -> list[Markup]:
        """The name of the best candidate, above its interval."""
        point, offset = max(placed, key=lambda item: item[0].f1.value)
        x = centre[point.round] + offset
        anchor = "end" if point.round == self.rounds[-1] and len(self.rounds) > 1 else "middle"
        anchor = "start" if point.round == self.rounds[0] and narrow else anchor
        shift = 6 if anchor == "end" else -6 if anchor == "start" else 0
        words = f"{shortened(point.label, 24)} {number(point.f1.value)}"
        return [text(x + shift, y(point.f1.high) - 6, words, anchor, "label strong halo")]

    def _levels(self, y: Scale, left: float, right: float, narrow: bool) -> tuple[list[Markup], list[Markup]]:
        """Lines and their labels, which stand beside the plot, or inside it where it is narrow."""
        lines, labels, last = [], [], -math.inf
        for level in sorted(self.levels, key=lambda level: -level.value):
            lines.append(line(left, y(level.value), right, y(level.value), "reference"))
            height = max(y(level.value) + (-5 if narrow else 4), last + 14)
            last = height
            if narrow:
                labels.append(text(right, height, level.label, "end", "label halo"))
            else:
                labels.append(text(right + 8, height, f"{level.label} {number(level.value)}", "start", "label"))
        return lines, labels

    def paper(self) -> Any:
        figure, axes = blank(PAGE, 3.0)
        position = {round_: k for k, round_ in enumerate(self.rounds)}
        for round_, mean in self.means:
            x = position[round_]
            if mean.interval:
                axes.fill_between([x - 0.4, x + 0.4], *mean.interval, color=INK, alpha=0.07, linewidth=0)
            axes.plot([x - 0.4, x + 0.4], [mean.mean, mean.mean], color=INK, linewidth=1.2)
        height = Scale(self.domain, (0.0, 290.0))
        for point, offset in _spread(self.points, height, 620 / len(self.rounds)):
            place, colour = position[point.round] + offset / (620 / len(self.rounds)), ACCENT if point.marked else SOFT
            axes.plot([place, place], [point.f1.low, point.f1.high], color=colour, linewidth=0.7, alpha=0.5)
            axes.plot(
                place, point.f1.value, "o", markersize=4, color=colour, markeredgecolor="white", markeredgewidth=0.4
            )
        for level in self.levels:
            axes.axhline(level.value, color=SOFT, linewidth=0.8, linestyle=(0, (3, 3)))
            axes.annotate(
                f" {level.label} {number(level.value)}",
                (1, level.value),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=7,
                color=SOFT,
            )
        axes.set_xticks(range(len(self.rounds)), [f"round {round_}" for round_ in self.rounds])
        axes.set_xlim(-0.5, len(self.rounds) - 0.5)
        axes.set_ylim(*self.domain)
        axes.set_ylabel("F1")
        axes.grid(axis="y")
        axes.tick_params(length=0)
        return figure


def _spread(points: Sequence[RoundPoint], y: Scale, column: float) -> list[tuple[RoundPoint, float]]:
    """Sideways offsets, in pixels, that keep the points of a round apart."""
    placed: list[tuple[RoundPoint, float]] = []
    step = 2 * RADIUS + 1.5
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
