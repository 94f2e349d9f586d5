"""`reward-search study`: claims tested by whole runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Size = Annotated[
    Literal["quick", "full"] | None,
    typer.Option(help="quick: minutes on two cores, to see it run; full: hours, to learn something. Default: quick."),
]
RunDir = Annotated[
    Path | None,
    typer.Option(help="Where the study is kept; default: runs/study-NAME-SIZE-DATE-TIME.", metavar="FOLDER"),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Replace one field of the configuration, such as screening.grpo.steps=80; may be repeated.",
        metavar="FIELD=VALUE",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the plan: what would run, and the estimated time. Write nothing.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the study in --run-dir.")]

study = typer.Typer(add_completion=False, rich_markup_mode=None)


@study.callback()
def claims() -> None:
    """Test a claim by whole runs over arms and seeds, with a report.

    Example: reward-search study feedback --size quick
    """


@study.command()
def feedback(
    size: Size = None,
    searches: Annotated[
        int | None, typer.Option(help="Searches per arm, each with a seed of its own; default: 2, full 5.")
    ] = None,
    run_dir: RunDir = None,
    assignments: Assignments = None,
    dry_run: DryRun = False,
    resume: Resume = False,
) -> int:
    """Does feedback help? Searches that are told the ranking, no results, a shuffled ranking, or nothing at all, over
    the same seeds.

    The arms of a seed share their first round, which is searched once. Arms are compared by paired differences with a
    search as the unit. `reward-search config` lists the fields that --set takes; they replace those of the preset
    `testbed` and of the size. With proposer.name=manual the study puts up its questions as text files that tell of no
    arm, and goes on with --resume when they are answered.

    Examples:

    \b
        reward-search study feedback --size quick --run-dir runs/feedback
        reward-search study feedback --size full --searches 7 --dry-run
        reward-search study feedback --run-dir runs/feedback --resume
        reward-search study feedback --set proposer.name=manual --run-dir runs/blind
    """
    return _study("feedback", size, searches, run_dir, assignments or [], dry_run=dry_run, resume=resume)


@study.command()
def multilayer(
    size: Size = None,
    seeds: Annotated[int | None, typer.Option(help="Runs per arm; default: 2, full 8.")] = None,
    run_dir: RunDir = None,
    assignments: Assignments = None,
    dry_run: DryRun = False,
    resume: Resume = False,
) -> int:
    """Is a second layer worth its completions? Multi-layer GRPO against ordinary GRPO, over the same seeds.

    Ordinary GRPO has as many optimizer steps, or as many sampled completions, and is read with one pass, with two, and
    with a vote of two; a control's second layer sees random responses. Arms are compared by paired differences with a
    run as the unit.

    Examples:

    \b
        reward-search study multilayer --size quick --run-dir runs/multilayer
        reward-search study multilayer --size full --set screening.multilayer.updates=alternating
        reward-search study multilayer --run-dir runs/multilayer --resume
    """
    return _study("multilayer", size, seeds, run_dir, assignments or [], dry_run=dry_run, resume=resume)


@study.command()
def reach(
    size: Size = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds of every training; default: 2, full 5.")] = None,
    run_dir: RunDir = None,
    assignments: Assignments = None,
    dry_run: DryRun = False,
    resume: Resume = False,
) -> int:
    """What can GRPO reach? Its gains by base mass against theory, and on problems outside pretraining with controls.

    Policies are trained on the right answer alone, with the assumptions of the theory and without, and sampled on the
    suites of `finals.ood`. `reward-search config` lists the fields that --set takes.

    Examples:

    \b
        reward-search study reach --size quick --run-dir runs/reach
        reward-search study reach --size full --dry-run
    """
    return _study("reach", size, seeds, run_dir, assignments or [], dry_run=dry_run, resume=resume)


@study.command()
def reflection(
    size: Size = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds, each of them with all arms; default: 2, full 8.")] = None,
    run_dir: RunDir = None,
    assignments: Assignments = None,
    dry_run: DryRun = False,
    resume: Resume = False,
) -> int:
    """Does a reflection reward help, and fine-tuning before GRPO? All nine combinations over the same seeds.

    Fine-tuning is none, LoRA or full; GRPO is paid for accuracy and format, and for reflection never, always, or beside
    right answers only. Of the configuration, the task, the base policy, `screening.grpo`, `screening.lora`,
    `finals.test_questions`, hardware and executor count; they replace those of the preset `testbed` and of the size.

    Examples:

    \b
        reward-search study reflection --size quick --run-dir runs/reflection
        reward-search study reflection --size full --dry-run
        reward-search study reflection --run-dir runs/reflection --resume
    """
    return _study("reflection", size, seeds, run_dir, assignments or [], dry_run=dry_run, resume=resume)


def _study(
    name: str,
    size: Literal["quick", "full"] | None,
    seeds: int | None,
    folder: Path | None,
    assignments: list[str],
    *,
    dry_run: bool,
    resume: bool,
) -> int:
    from rewards_generated.errors import UserError
    from search.driver.launch import require_free
    from search.study.drive import build_study, drive_study, new_study_folder, print_plan, recorded_study
    from search.study.ledger import StudyLedger

    if resume:
        if folder is None:
            raise UserError("--resume needs --run-dir, the folder of the study to be continued")
        if dry_run:
            raise UserError("--dry-run plans a new study; leave out --resume")
        facts = StudyLedger.open(folder).facts
        return drive_study(recorded_study(name, facts, size, seeds, assignments), folder, resume=True)
    chosen = build_study(name, size or "quick", seeds, assignments)
    if folder is not None:
        require_free(folder)
    if dry_run:
        print_plan(chosen)
        return 0
    return drive_study(chosen, folder or new_study_folder(chosen), resume=False)
