"""Makes the HTML form of a study's report: one file that needs no network and runs no script."""

from __future__ import annotations

import re

from markupsafe import Markup

from eval.report import text
from eval.report.study.data import StudyReport
from eval.report.study.figures import difference_figure, trajectory_figure
from eval.report.study.text import COMPARISON_COLUMNS, comparison_rows
from eval.report.templates import environment, style

WIDTHS = (1000, 350)
"""Of a drawing on a screen and on a phone, in pixels; the style sheet shows the one that fits."""
NARROW_HIDES = ("least exact p", "detectable")
"""Columns of the comparisons that a phone leaves out."""


def render_page(report: StudyReport) -> str:
    """The whole report as one HTML document. Text from proposers is escaped and its control characters made visible."""
    kinds = {arm.name: arm.kind for arm in report.arms}
    templates = environment("eval.report", "study", autoescape=True)
    templates.filters.update(cell=cell)
    html = templates.get_template("study.html.j2").render(
        report=report,
        style=style("study/study.css"),
        figures=[
            (figure, [drawn for width in WIDTHS if (drawn := trajectory_figure(figure, kinds, width))])
            for figure in report.figures
        ],
        families=[
            (
                family,
                [drawn for width in WIDTHS if (drawn := difference_figure(family, width))],
                comparison_rows(family, 1 - report.level),
            )
            for family in report.families
        ],
        columns=COMPARISON_COLUMNS,
        hidden=NARROW_HIDES,
    )
    return html.encode("utf-8", "replace").decode("utf-8")


def cell(words: str) -> Markup:
    """A cell of a table; the interval of a figure stands back behind its value."""
    found = re.fullmatch(r"(\S+) (\[[^\]]*\])", words)
    if found is None:
        return Markup("{}").format(text.visible(words))
    return Markup('<span class="value">{}</span> <span class="interval">{}</span>').format(*found.groups())
