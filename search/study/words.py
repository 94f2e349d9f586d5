"""The words of a study's report: macros of its text template, filled with figures.

A macro gives paragraphs, apart by an empty line. Values break neither a line nor a cell of a table, so that text from
elsewhere stays in its place. Nothing is escaped here: that is done by the forms of the report.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from eval.report.study.data import Family, Table, TrajectoryFigure
from eval.report.study.text import difference, verdict
from eval.report.templates import environment
from eval.report.text import counted, interval, joined, number, signed_interval, signed_number
from eval.statistics.replicates import compare_arms
from search.study import cells

if TYPE_CHECKING:
    from jinja2 import Environment

ALPHA = 0.05
_BAR = "\ue000"
"""Stands for a bar within a value until the cells of a table are told apart."""


class Words:
    def __init__(self, study: object, template: str) -> None:
        """`template` lies below this package, and sees the study under that name."""
        self._macros: Any = _environment().get_template(template).make_module({"study": study})

    def paragraphs(self, macro: str, *values: object) -> list[str]:
        return [part.replace(_BAR, "|") for part in self._parts(macro, *values)]

    def text(self, macro: str, *values: object) -> str:
        return " ".join(self.paragraphs(macro, *values))

    def entries(self, macro: str) -> dict[str, str]:
        """Of paragraphs such as `name: what it is`."""
        parts = [paragraph.partition(": ") for paragraph in self.paragraphs(macro)]
        return {name: text for name, _, text in parts}

    def family(
        self,
        macro: str,
        series: Mapping[str, Sequence[float | None]],
        pairs: Sequence[tuple[str, str]],
        *values: object,
        primary: bool = False,
    ) -> Family:
        """Of a title, what is compared, and perhaps a note; `series` by arm, one value per seed."""
        title, measure, *note = self.paragraphs(macro, *values)
        comparisons = compare_arms(series, pairs)
        return Family(title=title, measure=measure, primary=primary, comparisons=comparisons, note=" ".join(note))

    def table(self, macro: str, *values: object) -> Table:
        """Of a title, rows such as `| a | b |`, of which the first names the columns, and perhaps a note."""
        title, table, *note = self._parts(macro, *values)
        columns, *rows = [_split(row[1:-1]) for row in re.split(r"(?<=\|) (?=\|)", table)]
        return Table(title=title, columns=columns, rows=tuple(rows), note=" ".join(note).replace(_BAR, "|"))

    def figure(
        self, macro: str, runs: Mapping[str, Sequence[Sequence[float | None]]], *values: object
    ) -> TrajectoryFigure:
        """Of a title, what is drawn, the places on the axis such as `| a | b |`, and a caption; `runs` by arm."""
        title, measure, places, caption = self._parts(macro, *values)
        axis = _split(places[1:-1])
        drawn = tuple(cells.trajectory(arm, of_arm, len(axis)) for arm, of_arm in runs.items())
        return TrajectoryFigure(title=title, caption=caption, axis=axis, measure=measure, trajectories=drawn)

    def _parts(self, macro: str, *values: object) -> list[str]:
        rendered: str = getattr(self._macros, macro)(*values)
        parts = [part.strip() for part in re.split(r"\n[ \t]*\n", rendered)]
        return [re.sub(r"[ \t]*\n[ \t]*", " ", part) for part in parts if part]


def _split(row: str) -> tuple[str, ...]:
    return tuple(cell.strip().replace(_BAR, "|") for cell in row.split("|"))


@cache
def _environment() -> Environment:
    found = environment("search.study", autoescape=False, finalize=_kept_in_place)
    found.globals.update(ALPHA=ALPHA, counted=counted, zip=zip)
    filters = (
        *(difference, verdict, number, signed_number, interval, signed_interval, joined),
        *(cells.mean, cells.cell, cells.estimate_cell),
    )
    found.filters.update({function.__name__: function for function in filters})
    found.filters.update(
        total=lambda counts: sum(counts, Counter()),
        known=lambda runs: [run for run in runs if run is not None],
        call=lambda item, method, *values: getattr(item, method)(*values),
    )
    return found


def _kept_in_place(value: object) -> object:
    return re.sub(r"[ \t]*[\r\n]\s*", " ", value).replace("|", _BAR) if isinstance(value, str) else value
