"""`reward-search testbed`: the built-in base policy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

testbed = typer.Typer(add_completion=False, rich_markup_mode=None)


@testbed.callback()
def policy() -> None:
    """The built-in base policy and its recipe.

    Example: reward-search testbed build --to my-policy
    """


@testbed.command()
def build(
    to: Annotated[Path, typer.Option(help="Folder to write the policy to; it must be new or empty.")],
    quick: Annotated[bool, typer.Option(help="Run every part in seconds, to a useless policy.")] = False,
    work: Annotated[
        Path | None, typer.Option(help="Keep the parts here, and go on after the last finished one.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
) -> None:
    """Train the built-in policy from scratch by its recipe.

    Example: reward-search testbed build --to my-policy
    """
    from trainer.jobs.settings import Hardware
    from trainer.testbed.recipe import QUICK, SHIPPED, build_policy

    record = build_policy(to, QUICK if quick else SHIPPED, Hardware(device="cpu", threads=threads), work)
    print(f"policy written to {to}: {record['parameters']:,} parameters, weights {record['weights_sha256'][:12]}")
