"""The report of a study as Markdown, JSON and a few lines for the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from eval.report.study.data import Family, StudyReport, Table
from eval.report.table import markdown_cell
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


def notes_on_comparisons(report: StudyReport) -> str:
    share = f"{100 * report.level:g} %"
    return (
        f"Differences are paired over seeds: their mean with the {share} t interval. Both tests are two-sided and "
        "corrected by Holm's method over the rows of a table. `least exact p` is the smallest that the exact test "
        "could have given with so many pairs. `detectable` is the difference that the corrected t test finds with 80 % "
        f"power, if differences vary as they did here. The conclusion is the t test's at {1 - report.level:.2g}; "
        "`open` means that the data decide neither way, which is no evidence of equality."
    )


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
    parts = [f"# {report.title}", report.headline]
    if not report.complete:
        parts.append("**The study is not over: these are the pairs that are there so far. Decide nothing by them.**")
    parts += [f"The claim: {report.claim}", "\n".join(f"- {caveat}" for caveat in report.caveats)]
    parts.append("\n".join(f"- `{arm.name}`: {arm.description}" for arm in report.arms))
    for family in report.families:
        parts.append(f"## {family.title}" + (" (primary)" if family.primary else ""))
        parts.append(f"Compared: {family.measure}. {family.note}".strip())
        parts.append(_table(COMPARISON_COLUMNS, comparison_rows(family, 1 - report.level)))
    parts.append(notes_on_comparisons(report))
    for table in report.tables:
        parts += [f"## {table.title}", _table(table.columns, table.rows)]
        parts += [table.note] if table.note else []
    parts += ["## Methods", report.methods]
    parts.append(_table(("setting", "value"), [(setting.name, setting.value) for setting in report.settings]))
    return "\n\n".join(parts) + "\n"


def format_json(report: StudyReport, beside: Mapping[str, Any]) -> str:
    """Full precision; `beside`: what the caller adds, such as versions."""
    families = [
        {
            "title": family.title,
            "measure": family.measure,
            "primary": family.primary,
            "comparisons": [
                {
                    **{name: _plain(value) for name, value in comparison._asdict().items()},
                    "verdict": verdict(comparison, 1 - report.level),
                }
                for comparison in family.comparisons
            ],
        }
        for family in report.families
    ]
    record = {
        "study": report.name,
        "size": report.size,
        "complete": report.complete,
        "headline": report.headline,
        "claim": report.claim,
        "caveats": list(report.caveats),
        "level": report.level,
        "seeds": list(report.seeds),
        "families": families,
        "figures": [
            {
                "title": figure.title,
                "measure": figure.measure,
                "axis": list(figure.axis),
                "arms": {
                    item.arm: {"runs": item.runs, "means": [_plain(mean) for mean in item.means]}
                    for item in figure.trajectories
                },
            }
            for figure in report.figures
        ],
        "tables": [_record(table) for table in report.tables],
        "methods": report.methods,
        **beside,
        "units": report.record,
    }
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _record(table: Table) -> dict[str, Any]:
    return {"title": table.title, "columns": list(table.columns), "rows": [list(row) for row in table.rows]}


def _plain(value: object) -> object:
    return value._asdict() if isinstance(value, Estimate) else value


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(markdown_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)
