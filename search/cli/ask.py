"""`reward-search ask`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def ask(run: Annotated[Path, typer.Argument(help="Folder of the run.", metavar="RUN")]) -> None:
    """Print the question that a search with the manual proposer waits on: the exact prompt an LLM would get.

    Examples:

    \b
        reward-search run --preset testbed-quick --set proposer.name=manual --run-dir runs/mine
        reward-search ask runs/mine > question.md
    """
    from search.driver.answers import open_question

    typer.echo(open_question(run).prompt)
