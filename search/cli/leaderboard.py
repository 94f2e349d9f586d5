"""`reward-search leaderboard`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def leaderboard(
    run: Annotated[Path, typer.Argument(help="Folder of the run.", metavar="RUN")],
    format: Annotated[
        Literal["table", "md", "csv", "json"], typer.Option(help="table, md, csv or json.", metavar="FORMAT")
    ] = "table",
) -> None:
    """Print the leaderboard: the finalists with their intervals, or the screened candidates before there are any.

    Example:

    \b
        reward-search leaderboard runs/mine --format md
    """
    from search.driver.launch import recorded_config
    from search.ledger import Ledger
    from search.results.report import leaderboard_text

    ledger = Ledger.open(run)
    try:
        typer.echo(leaderboard_text(recorded_config(run), ledger, format), nl=False)
    finally:
        ledger.close()
