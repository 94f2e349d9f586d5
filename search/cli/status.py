"""`reward-search status`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def status(run: Annotated[Path, typer.Argument(help="Folder of the run.", metavar="RUN")]) -> None:
    """Show how far a search has come: rounds, candidates, unscored ones with their reasons, cost, what is next.

    Example:

    \b
        reward-search status runs/mine
    """
    from search.driver.status import print_status

    print_status(run)
