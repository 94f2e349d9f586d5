"""`reward-search tell`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def tell(
    run: Annotated[Path, typer.Argument(help="Folder of the run.", metavar="RUN")],
    answer: Annotated[Path, typer.Argument(help="Text file with the answer; - reads it from stdin.", metavar="FILE")],
) -> int:
    """Answer the open question of a search; it goes on by itself to its next question, or to its end.

    Any text will do: it is parsed and checked as the reply of an LLM would be, and what is unusable in it is
    recorded with its reason.

    Examples:

    \b
        reward-search tell runs/mine answer.md
        my-agent < question.md | reward-search tell runs/mine -
    """
    from search.driver.answers import record_answer
    from search.driver.drive import drive
    from search.driver.launch import recorded_config

    record_answer(run, answer)
    return drive(run, recorded_config(run), resume=True)
