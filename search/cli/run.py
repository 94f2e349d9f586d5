"""`reward-search run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def run(
    preset: Annotated[
        str | None, typer.Option(help="A shipped configuration: testbed-quick, testbed or paper.", metavar="NAME")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A YAML file; with --preset, its fields replace the preset's.", metavar="FILE")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Replace one field, such as search.rounds=3; may be repeated.", metavar="FIELD=VALUE"
        ),
    ] = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="Where the run is kept; default: runs/NAME-DATE-TIME.", metavar="FOLDER")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --run-dir.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan: jobs, steps, estimated time and cost. Write nothing.")
    ] = False,
    ood: Annotated[
        bool,
        typer.Option(
            "--ood",
            help="Also evaluate the finalists on out-of-distribution suites (finals.ood; those of the task if it is "
            "empty), after the test split was opened.",
        ),
    ] = False,
    select_on: Annotated[
        str | None,
        typer.Option(
            help="Split that ranks: validation, or test to reproduce the paper, labelled as selection on the test "
            "split wherever its numbers appear.",
            metavar="SPLIT",
        ),
    ] = None,
) -> int:
    """Run a search to its leaderboard and report, or resume one.

    `reward-search config` lists every field that --config and --set take.

    Examples:

    \b
        reward-search run --preset testbed-quick
        reward-search run --preset testbed --set seed=1 --set search.feedback=none --run-dir runs/unguided
        reward-search run --run-dir runs/unguided --resume
        reward-search run --preset testbed-quick --ood
        reward-search run --preset testbed --dry-run
    """
    from rewards_generated.errors import UserError
    from search.config.source import load_config, require_same
    from search.config.suites import with_suites
    from search.driver.drive import drive, print_plan
    from search.driver.launch import new_run_folder, recorded_config, require_free

    given = [*(assignments or []), *([f"search.select_on={select_on}"] if select_on else [])]
    if not resume:
        chosen = load_config(preset, config, given)
        chosen = with_suites(chosen) if ood else chosen
        if run_dir is not None:
            require_free(run_dir)
        if dry_run:
            print_plan(chosen)
            return 0
        return drive(run_dir or new_run_folder(chosen), chosen, resume=False)
    if run_dir is None:
        raise UserError("--resume needs --run-dir, the folder of the run to be continued")
    if dry_run:
        raise UserError("--dry-run plans a new search; leave out --resume")
    recorded = recorded_config(run_dir)
    if preset is not None or config is not None:
        named = load_config(preset, config, given)
    else:
        named = load_config(values=recorded.plain(), assignments=given)
    named = with_suites(named) if ood else named
    require_same(recorded.plain(), named.plain(), str(run_dir), "a new search in another --run-dir")
    return drive(run_dir, recorded, resume=True)
