"""`reward-search init`: the first configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write; made if it is not there.", metavar="FOLDER")] = Path(
        "."
    ),
    task: Annotated[
        str, typer.Option(help="Kind of questions: testbed, maths, choice or code.", metavar="KIND")
    ] = "testbed",
) -> None:
    """Write a commented search.yaml, with tiny data of the asked kind, that runs as it stands. Overwrites nothing.

    Examples:

    \b
        reward-search init
        reward-search init my-search --task choice
    """
    from search.driver.start import CONFIG_FILE, write_start

    for file in write_start(task, folder):
        typer.echo(file)
    enter = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    typer.echo(f"next: {enter}reward-search run --config {CONFIG_FILE} --dry-run")
