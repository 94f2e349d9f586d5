"""A comparison of several models on the same questions: their figures and all tests, for people and programs."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from eval.report.data import PairwiseTest, Scores
from eval.report.leaderboard import format_estimate, markdown_cell, printable, score_record, terminal_width
from eval.report.scores import POWER, Answers, compare_answers, score_answers
from eval.report.text import counted, p_value, points_interval, signed_points
from eval.statistics.cochran import CochranResult, cochran_q
from eval.statistics.estimate import Estimate

ComparisonFormat = Literal["table", "md", "json"]


class ModelComparison(NamedTuple):
    scores: dict[str, Scores]
    """By model, in the order given."""
    cochran: CochranResult
    """Over all models, one run each: that of the smallest seed."""
    tests: tuple[PairwiseTest, ...]
    """One declared family."""
    level: float
    """Of the intervals; 1 minus it is the level of the tests."""
    margin: float | None


def compare_models(
    models: Mapping[str, Answers],
    margin: float | None = None,
    level: float = 0.95,
    pairs: Sequence[tuple[str, str]] | None = None,
) -> ModelComparison:
    """At least two models on the same questions. `pairs`: those to be tested, declared beforehand; None: all."""
    tests = compare_answers({name: answers.correct for name, answers in models.items()}, margin, 1 - level, pairs)
    return ModelComparison(
        scores={name: score_answers(answers, level) for name, answers in models.items()},
        cochran=cochran_q([answers.correct[0].tolist() for answers in models.values()]),
        tests=tests,
        level=level,
        margin=margin,
    )


def format_comparison(comparison: ModelComparison, form: ComparisonFormat = "table") -> str:
    """As text. `table` is for a terminal, `json` holds full precision."""
    if form == "table":
        return _table(comparison)
    if form == "md":
        return _markdown(comparison)
    if form == "json":
        text = json.dumps(_record(comparison), indent=2, ensure_ascii=False) + "\n"
        return text.encode("utf-8", "replace").decode("utf-8")
    raise ValueError(f"unknown comparison format {form!r}")


def conclusion(test: PairwiseTest, alpha: float) -> str:
    """What the data say of a pair: a difference after Holm's correction, an equivalence, both (a difference too small
    to matter) or neither."""
    different = test.holm <= alpha
    equivalent = test.equivalence_p is not None and test.equivalence_p <= alpha
    if different and equivalent:
        return "different, within margin"
    return "different" if different else "equivalent" if equivalent else "open"


def _model_rows(comparison: ModelComparison) -> tuple[list[str], list[list[str]]]:
    columns = ["model", "accuracy", "F1", "precision", "answered", "n", "seeds"]
    rows = [
        [
            name,
            *(format_estimate(e) for e in (scores.accuracy, scores.f1, scores.precision, scores.extraction_rate)),
            str(scores.n),
            str(len(scores.seeds)),
        ]
        for name, scores in comparison.scores.items()
    ]
    return columns, rows


def _test_rows(comparison: ModelComparison) -> tuple[list[str], list[list[str]]]:
    columns = ["first", "second", "only first", "only second", "difference, points", "p", "test"]
    columns += ["Bonferroni", "Holm", "BH"]
    columns += ["equivalence p"] if comparison.margin is not None else []
    over_seeds = any(test.seeds_difference for test in comparison.tests)
    columns += ["over seeds, points", "p over seeds"] if over_seeds else []
    columns += ["detectable", "conclusion"]
    rows = []
    for test in comparison.tests:
        detectable = test.detectable_difference
        row = [test.first, test.second, str(test.first_only), str(test.second_only), _points(test.difference)]
        row += [p_value(test.p_value), test.method]
        row += [p_value(p) for p in (test.bonferroni, test.holm, test.benjamini_hochberg)]
        row += [p_value(test.equivalence_p)] if comparison.margin is not None else []
        row += [_points(test.seeds_difference), p_value(test.seeds_p)] if over_seeds else []
        row += ["—" if detectable is None else f"{100 * detectable:.1f}", conclusion(test, 1 - comparison.level)]
        rows.append(row)
    return columns, rows


def _points(difference: Estimate | None) -> str:
    return "—" if difference is None else f"{signed_points(difference.value)} {points_interval(difference)}"


def _notes(comparison: ModelComparison) -> list[str]:
    cochran, alpha = comparison.cochran, 1 - comparison.level
    several = any(len(scores.seeds) > 1 for scores in comparison.scores.values())
    one_run = ", one run of each (its smallest seed)" if several else ""
    notes = [
        f"Cochran's Q over all {len(comparison.scores)} models{one_run}: {cochran.statistic:.2f} with "
        f"{counted(cochran.degrees_of_freedom, 'degree')} of freedom, p {_worded(cochran.p_value)}.",
        f"Brackets are {100 * comparison.level:g} % intervals. Accuracy and F1: "
        + ("two-way random effects where there are several seeds, else " if several else "")
        + "BCa bootstrap over questions. Difference: first minus second, Tango's score interval.",
        f"McNemar's test{one_run}: exact below 25 discordant questions, else chi-square with continuity correction. "
        f"The corrections hold for the {counted(len(comparison.tests), 'pair')} of the table as one family; "
        f"`different` is Holm at {alpha:g}.",
    ]
    if any(test.seeds_difference for test in comparison.tests):
        notes.append("Over seeds: the difference for new seeds and new questions, where both have several seeds.")
    if comparison.margin is not None:
        notes.append(
            f"`equivalent`: two one-sided score tests at {alpha:g} with a margin of {100 * comparison.margin:g} points "
            "of accuracy, not corrected for the number of pairs."
        )
    notes.append(
        f"Detectable: points of accuracy that McNemar's test finds with {100 * POWER:g} % power on so many questions "
        "with so many discordant ones, uncorrected. `open` means that the data decide neither way."
    )
    return notes


def _worded(p: float) -> str:
    return p_value(p) if p < 0.001 else f"= {p_value(p)}"


def _table(comparison: ModelComparison) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    output = io.StringIO()
    # A table that is wider than the terminal runs over its edge: figures that are cut could be misread.
    wide = Console(file=output, width=10_000, color_system=None)
    for columns, rows in (_model_rows(comparison), _test_rows(comparison)):
        table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for column in columns:
            words = column in ("model", "first", "second", "test", "conclusion")
            table.add_column(column, justify="left" if words else "right", no_wrap=True)
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        wide.print(table)
    console = Console(file=output, width=terminal_width(), color_system=None)
    for note in _notes(comparison):
        console.print(Text(note))
    return "\n".join(line.rstrip() for line in output.getvalue().strip("\n").splitlines()) + "\n"


def _markdown(comparison: ModelComparison) -> str:
    lines = []
    for columns, rows in (_model_rows(comparison), _test_rows(comparison)):
        lines += ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
        lines += ["| " + " | ".join(markdown_cell(cell) for cell in row) + " |" for row in rows]
        lines.append("")
    lines += [f"- {note}" for note in _notes(comparison)]
    return "\n".join(lines) + "\n"


def _record(comparison: ModelComparison) -> dict[str, Any]:
    pairs = []
    for test in comparison.tests:
        record = {name: value._asdict() if isinstance(value, Estimate) else value for name, value in dict(test).items()}
        del record["family"]  # the whole table is one
        record["conclusion"] = conclusion(test, 1 - comparison.level)
        pairs.append(record)
    return {
        "level": comparison.level,
        "equivalence_margin": comparison.margin,
        "models": [{"name": name, **score_record(scores)} for name, scores in comparison.scores.items()],
        "cochran_q": comparison.cochran._asdict(),
        "pairs": pairs,
    }
