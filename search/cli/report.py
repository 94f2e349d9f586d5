"""`reward-search report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder of the run.", metavar="RUN")],
    out: Annotated[
        Path | None, typer.Option(help="HTML file to write, replaced if it exists; default: RUN/report.html.")
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="Also write every figure into this folder, as SVG, PNG and PDF.", metavar="DIR"),
    ] = None,
) -> None:
    """Write the report of a search, finished or not, as one self-contained HTML file.

    Example:

    \b
        reward-search report runs/mine --out report.html --figures figures/
    """
    from rewards_generated.errors import UserError
    from search.driver.launch import recorded_config
    from search.ledger import Ledger, is_driven
    from search.results.report import REPORT_FILE, write_report, write_report_figures

    ledger = Ledger.open(run)
    try:
        target = out or run / REPORT_FILE
        if target.is_dir() or not target.parent.is_dir():
            raise UserError(f"--out {target}: give a file in a folder that exists")
        if figures is not None and ((figures.exists() and not figures.is_dir()) or not figures.parent.is_dir()):
            raise UserError(f"--figures {figures}: give a folder, or a name for a new one in a folder that exists")
        config, running = recorded_config(run), is_driven(run)
        typer.echo(write_report(config, ledger, target, running=running))
        if figures is not None:
            for file in write_report_figures(config, ledger, figures, running=running):
                typer.echo(file)
    finally:
        ledger.close()
