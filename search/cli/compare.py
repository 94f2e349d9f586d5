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
    from eval.report.comparison import compare as compare_files
    from eval.report.comparison import format_comparison

    typer.echo(format_comparison(compare_files(files, margin, level, baseline), format), nl=False)
