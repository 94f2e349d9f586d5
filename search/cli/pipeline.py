"""`reward-search pipeline`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def pipeline(
    to: Annotated[Path, typer.Option(help="Where the stages and their policies are kept.", metavar="FOLDER")],
    config: Annotated[
        Path | None, typer.Argument(help="A YAML file; with --preset, its fields replace the preset's.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="A shipped description: testbed-quick, testbed or paper.", metavar="NAME")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Replace one field, such as sft.tuning=full; may be repeated.", metavar="FIELD=VALUE"
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the pipeline in --to.")] = False,
) -> int:
    """Train a policy in stages and evaluate each: base, supervised fine-tuning, GRPO with a reflection reward.

    Every stage is full, lora or none. An interrupted pipeline goes on with --resume, to the same policies. What it
    leaves in FOLDER/policy is a base model for `reward-search run`. `reward-search config --pipeline` lists the fields.

    Examples:

    \b
        reward-search pipeline --preset testbed-quick --to runs/pipeline
        reward-search pipeline --preset testbed --set sft.tuning=full --set sft.learning_rate=5e-4 --to runs/full
        reward-search pipeline my.yaml --to runs/mine
        reward-search pipeline --to runs/mine --resume
        reward-search run --preset testbed-quick --set base_model=runs/pipeline/policy
    """
    from search.driver.pipeline import described, drive_pipeline

    return drive_pipeline(described(config, preset, assignments or [], to, resume=resume), to, resume=resume)
