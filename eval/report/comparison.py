"""A comparison of several models on the same questions: their figures and all tests, for people and programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from eval.report.data import PairwiseTest, Scores
from eval.report.leaderboard import format_estimate, score_record
from eval.report.scores import POWER, Answers, compare_answers, score_answers
from eval.report.table import Column, Table, terminal_width, wrapped
from eval.report.templates import paragraphs
from eval.report.text import p_value, points_interval, signed_points
from eval.statistics.estimate import Estimate
from eval.statistics.pairwise import CochranResult, cochran_q
from rewards_generated.errors import UserError, nearest

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


def compare(
    files: Sequence[str | Path], margin: float | None = None, level: float = 0.95, baseline: str | None = None
) -> ModelComparison:
    """Compares the policies whose predictions lie in the files, on the questions that all of them answered.

    A policy is named by its file without the ending. `margin`: difference in accuracy too small to matter; None: no
    equivalence test. `level`: of the intervals. `baseline`: the one policy against which all others are tested; None:
    all pairs. Raises UserError for files or arguments that cannot be used.
    """
    from eval.prediction_file import read_answers

    if margin is not None and not 0 < margin < 1:
        raise UserError(f"margin {margin:g} must lie between 0 and 1, in accuracy; write 0.02 for two points")
    if not 0 < level < 1:
        raise UserError(f"level {level:g} must lie between 0 and 1; write 0.95 for 95 % intervals")
    models = read_answers([Path(file) for file in files])
    pairs = None
    if baseline is not None:
        if baseline not in models:
            raise UserError(f"baseline {baseline!r} is none of the models: {nearest(baseline, models)}")
        pairs = [(name, baseline) for name in models if name != baseline]
    return compare_models(models, margin, level, pairs)


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
    tables = _models(comparison), _tests(comparison)
    notes = paragraphs(
        "comparison.txt.j2",
        **comparison._asdict(),
        alpha=1 - comparison.level,
        power=POWER,
        several=any(len(scores.seeds) > 1 for scores in comparison.scores.values()),
    )
    if form == "table":
        # A table that is wider than the terminal runs over its edge: figures that are cut could be misread.
        written = [table.text(10_000) for table in tables]
        return "".join([*written, *(wrapped(note, terminal_width()) for note in notes)])
    if form == "md":
        return "\n".join([*(table.markdown() for table in tables), *(f"- {note}" for note in notes)]) + "\n"
    if form == "json":
        text = json.dumps(_record(comparison), indent=2, ensure_ascii=False) + "\n"
        return text.encode("utf-8", "replace").decode("utf-8")
    raise ValueError(f"unknown comparison format {form!r}")


def conclusion(test: PairwiseTest, alpha: float, margin: float | None) -> str:
    """What the data say of a pair: a difference after Holm's correction, an equivalence, both (a difference too small
    to matter) or neither. Where the luck of training is known, for new seeds as well."""
    different, equivalent = test.differs(alpha), test.is_equivalent(alpha, margin)
    if different and equivalent:
        return "different, within margin"
    return "different" if different else "equivalent" if equivalent else "open"


def _models(comparison: ModelComparison) -> Table:
    columns = ("accuracy", "F1", "precision", "answered", "n", "seeds")
    rows = [
        (
            name,
            *map(format_estimate, (scores.accuracy, scores.f1, scores.precision, scores.extraction_rate)),
            str(scores.n),
            str(len(scores.seeds)),
        )
        for name, scores in comparison.scores.items()
    ]
    return Table((Column("model", "words"), *map(Column, columns)), tuple(rows))


def _tests(comparison: ModelComparison) -> Table:
    margin = comparison.margin is not None
    over_seeds = any(test.seeds_difference for test in comparison.tests)
    columns = [Column("first", "words"), Column("second", "words"), Column("only first"), Column("only second")]
    columns += [Column("difference, points"), Column("p"), Column("test", "words")]
    columns += [Column("Bonferroni"), Column("Holm"), Column("BH")]
    columns += [Column("equivalence p")] if margin else []
    columns += [Column("over seeds, points"), Column("p over seeds"), Column("Holm over seeds")] if over_seeds else []
    columns += [Column("detectable"), Column("conclusion", "words")]
    rows = []
    for test in comparison.tests:
        detectable = test.detectable_difference
        row = [test.first, test.second, str(test.first_only), str(test.second_only), _points(test.difference)]
        row += [p_value(test.p_value), test.method]
        row += map(p_value, (test.bonferroni, test.holm, test.benjamini_hochberg))
        row += [p_value(test.equivalence_p)] if margin else []
        row += [_points(test.seeds_difference), p_value(test.seeds_p), p_value(test.seeds_holm)] if over_seeds else []
        row += [
            "—" if detectable is None else f"{100 * detectable:.1f}",
            conclusion(test, 1 - comparison.level, comparison.margin),
        ]
        rows.append(tuple(row))
    return Table(tuple(columns), tuple(rows))


def _points(difference: Estimate | None) -> str:
    return "—" if difference is None else f"{signed_points(difference.value)} {points_interval(difference)}"


def _record(comparison: ModelComparison) -> dict[str, Any]:
    pairs = []
    for test in comparison.tests:
        record = {name: value._asdict() if isinstance(value, Estimate) else value for name, value in dict(test).items()}
        del record["family"]  # the whole table is one
        record["conclusion"] = conclusion(test, 1 - comparison.level, comparison.margin)
        pairs.append(record)
    return {
        "level": comparison.level,
        "equivalence_margin": comparison.margin,
        "models": [{"name": name, **(score_record(scores) or {})} for name, scores in comparison.scores.items()],
        "cochran_q": comparison.cochran._asdict(),
        "pairs": pairs,
    }
