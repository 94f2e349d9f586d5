"""`reward-search compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def compare(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="JSONL files, one per model: id and correct on every line, and where known answered and seed.",
        ),
    ],
    format: Annotated[Literal["table", "md", "json"], typer.Option(help="table, md or json.", metavar="FORMAT")] = (
        "table"
    ),
    margin: Annotated[
        float | None,
        typer.Option(
            help="Also test for equivalence: a difference in accuracy too small to matter, such as 0.02.",
            metavar="SHARE",
        ),
    ] = None,
    level: Annotated[
        float, typer.Option(help="Confidence level of the intervals; tests are at 1 minus it.", metavar="SHARE")
    ] = 0.95,
    baseline: Annotated[
        str | None,
        typer.Option(help="Test every model against this one alone, a smaller family of pairs.", metavar="NAME"),
    ] = None,
) -> None:
    """Compare the predictions of several models on the same questions, from anybody's evaluation.

    A model is named by its file without the ending. Shown are accuracy, F1, precision on attempted and the share
    answered, with intervals; Cochran's Q; and for every pair the difference with its interval, McNemar's test, the
    corrections of Bonferroni, Holm and Benjamini-Hochberg, the equivalence test, and the difference over seeds.

    Example:

    \b
        reward-search compare base.jsonl tuned.jsonl --margin 0.02
    """
    from eval.prediction_file import read_answers
    from eval.report.comparison import compare_models, format_comparison
    from rewards_generated.errors import UserError, nearest

    if margin is not None and not 0 < margin < 1:
        raise UserError(f"--margin {margin:g} must lie between 0 and 1, in accuracy; write 0.02 for two points")
    if not 0 < level < 1:
        raise UserError(f"--level {level:g} must lie between 0 and 1; write 0.95 for 95 % intervals")
    models = read_answers(files)
    pairs = None
    if baseline is not None:
        if baseline not in models:
            raise UserError(f"--baseline {baseline!r} is none of the models: {nearest(baseline, models)}")
        pairs = [(name, baseline) for name in models if name != baseline]
    typer.echo(format_comparison(compare_models(models, margin, level, pairs), format), nl=False)
