"""The report of a study as Markdown, JSON and a few lines for the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from eval.report.study.data import Family, StudyReport
from eval.report.table import markdown_cell
from eval.report.templates import environment
from eval.report.text import DASH, number, p_value, signed_interval, signed_number
from eval.statistics.estimate import Estimate
from eval.statistics.replicates import ROUNDING, ArmComparison

COMPARISON_COLUMNS = (
    "comparison",
    "pairs",
    "difference",
    "t test, Holm",
    "exact test, Holm",
    "least exact p",
    "detectable",
    "conclusion",
)


def verdict(comparison: ArmComparison, alpha: float) -> Literal["higher", "lower", "open"]:
    """What the paired t test says after Holm's correction; `open`: the data decide neither way."""
    if comparison.estimate is None or comparison.holm_t is None or comparison.holm_t > alpha:
        return "open"
    return "higher" if comparison.estimate.value > 0 else "lower"


def difference(comparison: ArmComparison) -> str:
    """Such as `+0.031 [−0.010, +0.072]`; where the pairs do not differ there is no interval."""
    estimate = comparison.estimate
    if estimate is None:
        return DASH
    if estimate.high - estimate.low < ROUNDING:
        return f"{signed_number(estimate.value)} (the same in every pair)"
    return f"{signed_number(estimate.value)} {signed_interval(estimate)}"


def comparison_rows(family: Family, alpha: float) -> list[tuple[str, ...]]:
    """One row per comparison, in the order of `COMPARISON_COLUMNS`."""
    return [
        (
            f"{item.first} − {item.second}",
            str(item.estimate.n if item.estimate else sum(d is not None for d in item.differences)),
            difference(item),
            p_value(item.holm_t),
            p_value(item.holm_sign_flip),
            p_value(item.least_sign_flip),
            "> 1" if item.detectable is not None and item.detectable > 1 else number(item.detectable),
            verdict(item, alpha) if item.estimate else "too few pairs",
        )
        for item in family.comparisons
    ]


def format_summary(report: StudyReport) -> str:
    """The headline and the primary comparisons."""
    lines = [report.headline]
    for family in report.families:
        lines += [f"{family.measure}:"]
        lines += [
            f"  {row[0]}: {row[2]}, p {row[3]} (t), {row[4]} (exact)"
            for row in comparison_rows(family, 1 - report.level)
        ]
    if not report.complete:
        lines.insert(0, "The study is not over; these are the pairs that are there so far.")
    return "\n".join(lines)


def format_markdown(report: StudyReport) -> str:
    settings = [(setting.name, setting.value) for setting in report.settings]
    templates = environment("eval.report", "study")
    templates.filters.update(markdown_cell=markdown_cell, comparison_rows=comparison_rows)
    template = templates.get_template("report.md.j2")
    return template.render(report=report, columns=COMPARISON_COLUMNS, settings=settings)


def format_json(report: StudyReport, beside: Mapping[str, Any]) -> str:
    """Full precision; `beside`: what the caller adds, such as versions."""
    kept = ("size", "complete", "headline", "claim", "caveats", "level", "seeds")
    record = {
        "study": report.name,
        **{name: getattr(report, name) for name in kept},
        "families": [
            {
                "title": family.title,
                "measure": family.measure,
                "primary": family.primary,
                "comparisons": [
                    {**_plain(comparison), "verdict": verdict(comparison, 1 - report.level)}
                    for comparison in family.comparisons
                ],
            }
            for family in report.families
        ],
        "figures": [
            {
                "title": figure.title,
                "measure": figure.measure,
                "axis": figure.axis,
                "arms": {
                    item.arm: {"runs": item.runs, "means": [mean and _plain(mean) for mean in item.means]}
                    for item in figure.trajectories
                },
            }
            for figure in report.figures
        ],
        "tables": [table.model_dump(include={"title", "columns", "rows"}) for table in report.tables],
        "methods": report.methods,
        **beside,
        "units": report.record,
    }
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(figures: ArmComparison | Estimate) -> dict[str, Any]:
    return {name: _plain(value) if isinstance(value, Estimate) else value for name, value in figures._asdict().items()}
