"""`reward-search config`."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def config(
    preset: Annotated[str | None, typer.Option(help="Show this preset's values.", metavar="NAME")] = None,
    proposer: Annotated[str | None, typer.Option(help="List the options of this proposer.", metavar="NAME")] = None,
    pipeline: Annotated[bool, typer.Option("--pipeline", help="List the fields of a pipeline instead.")] = False,
) -> None:
    """List every field of the configuration with its help and its default, or a preset's value.

    Examples:

    \b
        reward-search config
        reward-search config --preset testbed
        reward-search config --proposer litellm
        reward-search config --pipeline
    """
    from search.config.reference import print_fields, print_options, print_pipeline_fields

    if pipeline:
        print_pipeline_fields()
    elif proposer is not None:
        print_options(proposer)
    else:
        print_fields(preset)
