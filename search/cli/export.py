"""`reward-search export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def export(
    source: Annotated[
        str, typer.Argument(help="Folder of a run, TOML file of an ensemble, or name of a saved one.", metavar="SOURCE")
    ],
    to: Annotated[Path, typer.Option(help="Folder to write; it must be new or empty.", metavar="FOLDER")],
    ensemble: Annotated[
        str | None, typer.Option(help="Which ensemble of the run; default: the named winner.", metavar="NAME")
    ] = None,
) -> None:
    """Write an ensemble as a folder that needs nothing of reward-search, for TRL, verl, OpenRLHF and verifiers.

    The folder holds reward.py, ensemble.toml and a README.md with where it comes from and what to mind. Its code runs
    WITHOUT a sandbox in your trainer.

    Examples:

    \b
        reward-search export runs/mine --ensemble top-3 --to my_reward
        reward-search export my_ensemble.toml --to my_reward
    """
    from search.driver.export import export as write

    folder = write(source, ensemble, to)
    typer.echo(
        f"{folder}: reward.py, ensemble.toml, README.md. The code runs without a sandbox: read it before training."
    )
