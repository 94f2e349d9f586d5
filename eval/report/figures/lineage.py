"""Who the winner's members descend from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from markupsafe import Markup

from eval.report.figures.figure import ACCENT, INK, PAGE, SOFT, blank
from eval.report.figures.svg import link, mark, shortened, svg, text
from eval.report.text import number

_ROW = 42
_COLUMN = 150
_SWEEPS = 6
_CHARACTER = 6.6
"""Pixels of one, about."""


class Ancestor(NamedTuple):
    label: str
    anchor: str | None
    """Of its section; None: it was not proposed in this run."""
    round: int
    """0: it is older than the run, such as a reward of the starter library."""
    f1: float | None
    member: bool


Place = tuple[float, float]
"""Column and row, or pixels."""


class Layout(NamedTuple):
    places: list[Place]
    """Of the ancestors."""
    routes: list[list[Place]]
    """Of the descents: parent, what is passed in the columns between, child."""
    rows: int


class Descent(NamedTuple):
    parent: int
    child: int
    """Positions among the ancestors; the parent's round is the earlier one."""


@dataclass(frozen=True, slots=True)
class LineageFigure:
    ancestors: tuple[Ancestor, ...]
    """At least one."""
    descents: tuple[Descent, ...] = ()

    name = "lineage"

    @property
    def columns(self) -> list[int]:
        """The rounds that are shown."""
        return sorted({ancestor.round for ancestor in self.ancestors})

    def layout(self) -> Layout:
        """Columns are rounds. Rows are ordered so that lines cross little: each sweep sorts a column by the mean row of
        its neighbours, forwards by parents and backwards by children; a line over several columns keeps a row of its
        own in those between (Sugiyama, Tagawa and Toda 1981, IEEE Trans. SMC 11:109-125)."""
        columns = self.columns
        column = [columns.index(ancestor.round) for ancestor in self.ancestors]
        passing: dict[tuple[int, int], int] = {}
        routes = []
        for parent, child in self.descents:
            between = range(column[parent] + 1, column[child])
            for k in between:
                if (parent, k) not in passing:
                    passing[parent, k] = len(column)
                    column.append(k)
            routes.append([parent, *(passing[parent, k] for k in between), child])
        members: list[list[int]] = [[] for _ in columns]
        parents, children = defaultdict(set), defaultdict(set)
        for node, k in enumerate(column):
            members[k].append(node)
        for route in routes:
            for before, after in pairwise(route):
                parents[after].add(before)
                children[before].add(after)
        tallest = max(map(len, members))
        row: dict[int, float] = {}

        def settle(inside: list[int]) -> None:
            for position, node in enumerate(inside):
                row[node] = position + (tallest - len(inside)) / 2

        for inside in members:
            inside.sort(key=lambda node: -(self.ancestors[node].f1 or 0.0) if node < len(self.ancestors) else 0.0)
            settle(inside)
        for sweep in range(_SWEEPS):
            neighbours = parents if sweep % 2 == 0 else children
            for inside in members if sweep % 2 == 0 else reversed(members):
                near = {
                    node: sum(row[other] for other in neighbours[node]) / len(neighbours[node])
                    if neighbours[node]
                    else row[node]
                    for node in inside
                }
                inside.sort(key=lambda node: near[node])
                settle(inside)
        at: list[Place] = [(column[node], row[node]) for node in range(len(column))]
        return Layout(at[: len(self.ancestors)], [[at[node] for node in route] for route in routes], tallest)

    def svg(self, width: int) -> Markup:
        """As wide as its columns need: a page scrolls it sideways where it is narrow."""
        columns, layout = self.columns, self.layout()
        pitch = max(_COLUMN, width / len(columns))
        longest = int((pitch - 30) / _CHARACTER)
        height = 44 + layout.rows * _ROW

        def pixels(place: Place) -> tuple[float, float]:
            return 8 + place[0] * pitch, 58 + place[1] * _ROW

        body = [
            text(2 + k * pitch, 16, "before the run" if round_ == 0 else f"round {round_}", "start", "label group")
            for k, round_ in enumerate(columns)
        ]
        for (parent, child), route in zip(self.descents, layout.routes, strict=True):
            words = 16 + _CHARACTER * len(shortened(self.ancestors[parent].label, longest))
            kind = "descent member" if self.ancestors[child].member else "descent"
            body.append(_line(list(map(pixels, route)), words, pitch * 0.7, kind))
        for ancestor, place in zip(self.ancestors, layout.places, strict=True):
            body.append(_node(ancestor, *pixels(place), longest))
        return svg(pitch * len(columns), height, "Lineage of the winner's members", body, "figure lineage")

    def paper(self) -> Any:
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        columns, layout = self.columns, self.layout()
        width = max(PAGE, 1.3 * len(columns))
        longest = int((width / len(columns) - 0.2) / 0.047)
        figure, axes = blank(width, 0.5 + 0.3 * layout.rows)
        for (parent, child), route in zip(self.descents, layout.routes, strict=True):
            inches = 0.12 + 0.047 * len(shortened(self.ancestors[parent].label, longest))
            points = _bends(list(route), inches / (width / len(columns)), 0.7, 0.03)
            codes = [Path.MOVETO, *(Path.CURVE4 if k % 4 < 3 else Path.LINETO for k in range(len(points) - 1))]
            colour = ACCENT if self.ancestors[child].member else SOFT
            axes.add_patch(PathPatch(Path(points, codes), fill=False, edgecolor=colour, linewidth=0.7, alpha=0.5))
        for ancestor, (x, y) in zip(self.ancestors, layout.places, strict=True):
            colour = ACCENT if ancestor.member else INK
            inside = colour if ancestor.f1 is not None else "white"
            axes.plot(x, y, "o", markersize=4.5, markerfacecolor=inside, markeredgecolor=colour)
            words = shortened(ancestor.label, longest)
            words += f"\n{number(ancestor.f1)}" if ancestor.f1 is not None else ""
            axes.annotate(words, (x, y), (5, 0), textcoords="offset points", va="center", fontsize=6, color=colour)
        for k, round_ in enumerate(columns):
            axes.text(k, -0.8, "before the run" if round_ == 0 else f"round {round_}", fontsize=7, color=SOFT)
        axes.set_xlim(-0.1, len(columns) - 0.1)
        axes.set_ylim(layout.rows - 0.4, -1)
        axes.axis("off")
        return figure


def _node(ancestor: Ancestor, x: float, y: float, longest: int) -> Markup:
    kind = "point winner" if ancestor.member else "point" if ancestor.f1 is not None else "point hollow"
    words = "label strong halo" + (" accent" if ancestor.member else "")
    figure = "not in this run" if ancestor.round == 0 else "unscored"
    figure = figure if ancestor.f1 is None else f"F1 {number(ancestor.f1)}"
    inside = Markup("").join(
        [
            mark(x, y, kind, f"{ancestor.label}: {figure}", 5),
            text(x + 11, y - 1, shortened(ancestor.label, longest), "start", words),
            text(x + 11, y + 13, figure, "start", "label halo small"),
        ]
    )
    return link(ancestor.anchor, inside) if ancestor.anchor else inside


def _bends(route: list[Place], label: float, passage: float, gap: float) -> list[Place]:
    """Bézier points of a line that starts behind its parent's label, goes straight through the columns between, and
    ends before its child: of every curve the start, two controls and the end, and so on from there."""
    points: list[Place] = []
    for (x1, y1), (x2, y2) in pairwise(route):
        start = x1 + (passage if points else min(label, (x2 - x1) * 0.85))
        end = x2 - (gap if (x2, y2) == route[-1] else 0)
        middle = (start + end) / 2
        points += [(start, y1), (middle, y1), (middle, y2), (end, y2)]
    return points


def _line(route: list[Place], label: float, passage: float, kind: str) -> Markup:
    points = _bends(route, label, passage, 7)
    steps = []
    for k in range(0, len(points), 4):
        (x1, y1), (x2, y2), (x3, y3), (x4, y4) = points[k : k + 4]
        steps.append(f"{'L' if k else 'M'}{x1:.1f} {y1:.1f}C{x2:.1f} {y2:.1f} {x3:.1f} {y3:.1f} {x4:.1f} {y4:.1f}")
    return Markup('<path d="{}" class="{}"/>').format("".join(steps), kind)
