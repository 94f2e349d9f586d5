"""Who the winner's members descend from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from eval.report.figures.figure import ACCENT, INK, PAGE, SOFT
from eval.report.figures.svg import link, mark, shortened, svg, text
from eval.report.text import number

_ROW = 42
_COLUMN = 200
_SWEEPS = 6
_LONGEST = 24
"""Characters of a name."""
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

    def places(self) -> list[tuple[int, float]]:
        """Column and row of every ancestor, rows ordered so that lines cross little: each sweep sorts a column by the
        mean row of its neighbours, forwards by parents and backwards by children (Sugiyama et al. 1981)."""
        columns = self.columns
        members: dict[int, list[int]] = defaultdict(list)
        for k, ancestor in enumerate(self.ancestors):
            members[columns.index(ancestor.round)].append(k)
        parents, children = defaultdict(list), defaultdict(list)
        for parent, child in self.descents:
            parents[child].append(parent)
            children[parent].append(child)
        tallest = max(len(inside) for inside in members.values())
        row: dict[int, float] = {}

        def settle(column: int) -> None:
            inside = members[column]
            for position, k in enumerate(inside):
                row[k] = position + (tallest - len(inside)) / 2

        for column in range(len(columns)):
            members[column].sort(key=lambda k: (-(self.ancestors[k].f1 or 0.0), self.ancestors[k].label))
            settle(column)
        for sweep in range(_SWEEPS):
            order = range(len(columns)) if sweep % 2 == 0 else range(len(columns) - 1, -1, -1)
            neighbours = parents if sweep % 2 == 0 else children
            for column in order:
                members[column].sort(
                    key=lambda k: sum(row[n] for n in neighbours[k]) / len(neighbours[k]) if neighbours[k] else row[k]
                )
                settle(column)
        return [(columns.index(ancestor.round), row[k]) for k, ancestor in enumerate(self.ancestors)]

    def svg(self, width: int) -> Markup:
        """As wide as its columns need: a page scrolls it sideways where it is narrow."""
        columns, places = self.columns, self.places()
        pitch = max(_COLUMN, width / len(columns))
        rows = max(row for _, row in places) + 1
        height = 44 + rows * _ROW
        at = [(12 + column * pitch, 58 + row * _ROW) for column, row in places]
        body = [
            text(2 + k * pitch, 16, "before the run" if round_ == 0 else f"round {round_}", "start", "label group")
            for k, round_ in enumerate(columns)
        ]
        for parent, child in self.descents:
            kind = "descent member" if self.ancestors[child].member else "descent"
            start = at[parent][0] + 18 + _CHARACTER * len(shortened(self.ancestors[parent].label, _LONGEST))
            body.append(_curve((min(start, at[child][0] - 30), at[parent][1]), at[child], kind))
        for ancestor, (x, y) in zip(self.ancestors, at, strict=True):
            body.append(self._node(ancestor, x, y))
        return svg(pitch * len(columns), height, "Lineage of the winner's members", body, "figure lineage")

    def _node(self, ancestor: Ancestor, x: float, y: float) -> Markup:
        kind = "point winner" if ancestor.member else "point" if ancestor.f1 is not None else "point hollow"
        words = "label strong halo" + (" accent" if ancestor.member else "")
        figure = "not in this run" if ancestor.round == 0 else "unscored"
        figure = figure if ancestor.f1 is None else f"F1 {number(ancestor.f1)}"
        inside = Markup("").join(
            [
                mark(x, y, kind, f"{ancestor.label}: {figure}", 5),
                text(x + 11, y - 1, shortened(ancestor.label, _LONGEST), "start", words),
                text(x + 11, y + 13, figure, "start", "label halo small"),
            ]
        )
        return link(ancestor.anchor, inside) if ancestor.anchor else inside

    def paper(self) -> Any:
        from matplotlib.figure import Figure
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        columns, places = self.columns, self.places()
        rows = max(row for _, row in places) + 1
        width = max(PAGE, 1.4 * len(columns))
        figure = Figure(figsize=(width, 0.5 + 0.3 * rows))
        axes = figure.add_subplot()
        for parent, child in self.descents:
            (x1, y1), (x2, y2) = places[parent], places[child]
            inches = 0.15 + 0.047 * min(len(self.ancestors[parent].label), _LONGEST)
            start = min(x1 + inches / (width / len(columns)), x2 - 0.15)
            middle = (start + x2) / 2
            curve = Path([(start, y1), (middle, y1), (middle, y2), (x2, y2)], [Path.MOVETO, *[Path.CURVE4] * 3])
            colour = ACCENT if self.ancestors[child].member else SOFT
            axes.add_patch(PathPatch(curve, fill=False, edgecolor=colour, linewidth=0.7, alpha=0.5))
        for ancestor, (x, y) in zip(self.ancestors, places, strict=True):
            colour = ACCENT if ancestor.member else INK
            inside = colour if ancestor.f1 is not None else "white"
            axes.plot(x, y, "o", markersize=4.5, markerfacecolor=inside, markeredgecolor=colour)
            words = shortened(ancestor.label, _LONGEST)
            words += f"\n{number(ancestor.f1)}" if ancestor.f1 is not None else ""
            axes.annotate(words, (x, y), (5, 0), textcoords="offset points", va="center", fontsize=6, color=colour)
        for k, round_ in enumerate(columns):
            axes.text(k, -0.8, "before the run" if round_ == 0 else f"round {round_}", fontsize=7, color=SOFT)
        axes.set_xlim(-0.1, len(columns) - 0.1)
        axes.set_ylim(rows - 0.4, -1)
        axes.axis("off")
        return figure


def _curve(start: tuple[float, float], end: tuple[float, float], kind: str) -> Markup:
    middle = (start[0] + end[0]) / 2
    return Markup('<path d="M{:.1f} {:.1f}C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}" class="{}"/>').format(
        start[0], start[1], middle, start[1], middle, end[1], end[0] - 6, end[1], kind
    )
