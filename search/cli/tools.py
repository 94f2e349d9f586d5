"""Commands beside a search: comparisons of models, the fields of the configuration, and what this machine can do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rewards_generated.sandbox import SandboxStrength


def compare(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="JSONL files, one per model: id and correct on every line, and where known answered and seed.",
        ),
    ],
    format: Annotated[Literal["table", "md", "json"], typer.Option(help="table, md or json.", metavar="FORMAT")] = (
        "table"
    ),
    margin: Annotated[
        float | None,
        typer.Option(
            help="Also test for equivalence: a difference in accuracy too small to matter, such as 0.02.",
            metavar="SHARE",
        ),
    ] = None,
    level: Annotated[
        float, typer.Option(help="Confidence level of the intervals; tests are at 1 minus it.", metavar="SHARE")
    ] = 0.95,
    baseline: Annotated[
        str | None,
        typer.Option(help="Test every model against this one alone, a smaller family of pairs.", metavar="NAME"),
    ] = None,
) -> None:
    """Compare the predictions of several models on the same questions, from anybody's evaluation.

    A model is named by its file without the ending. Shown are accuracy, F1, precision on attempted and the share
    answered, with intervals; Cochran's Q; and for every pair the difference with its interval, McNemar's test, the
    corrections of Bonferroni, Holm and Benjamini-Hochberg, the equivalence test, and the difference over seeds.

    Example:

    \b
        reward-search compare base.jsonl tuned.jsonl --margin 0.02
    """
    from eval.report.comparison import compare as compare_files
    from eval.report.comparison import format_comparison

    typer.echo(format_comparison(compare_files(files, margin, level, baseline), format), nl=False)


def config(
    preset: Annotated[str | None, typer.Option(help="Show this preset's values.", metavar="NAME")] = None,
    proposer: Annotated[str | None, typer.Option(help="List the options of this proposer.", metavar="NAME")] = None,
    task: Annotated[str | None, typer.Option(help="List the options of this task.", metavar="NAME")] = None,
    pipeline: Annotated[bool, typer.Option("--pipeline", help="List the fields of a pipeline instead.")] = False,
) -> None:
    """List every field of the configuration with its help and its default, or a preset's value.

    Examples:

    \b
        reward-search config
        reward-search config --preset testbed
        reward-search config --proposer litellm
        reward-search config --task gsm8k
        reward-search config --pipeline
    """
    from search.config.reference import print_fields, print_options, print_pipeline_fields, print_task_options

    if pipeline:
        print_pipeline_fields()
    elif task is not None:
        print_task_options(task)
    elif proposer is not None:
        print_options(proposer)
    else:
        print_fields(preset)


def plan(
    preset: Annotated[str | None, typer.Option(help="A shipped configuration.", metavar="NAME")] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file, over the preset.", metavar="FILE")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="Set a field: name=value. Repeatable.", metavar="NAME=VALUE")
    ] = None,
    machine: Annotated[
        str | None,
        typer.Option(
            help="a100, h100, h200, l40s or rtx-4090, by its data sheet, or here: this machine, measured in seconds. "
            "h100 where neither it nor --workers is given.",
            metavar="NAME",
        ),
    ] = None,
    pack: Annotated[int, typer.Option(help="Runs that share a process and the base policy.", metavar="N", min=1)] = 1,
    prompt_tokens: Annotated[
        int | None,
        typer.Option(help="Of a usual prompt; without it, by the task's train questions.", metavar="N", min=1),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(help="Show the whole search with so many jobs at a time, such as 1,8,64,512.", metavar="N,..."),
    ] = None,
    measured: Annotated[
        Path | None,
        typer.Option(
            help="With --workers: jobs take what those of this search took; without it and --machine, a few steps are "
            "trained here.",
            metavar="RUN",
        ),
    ] = None,
    proposing: Annotated[
        float | None,
        typer.Option(help="With --workers: seconds in which a round is proposed.", metavar="SECONDS", min=0),
    ] = None,
    store: Annotated[
        float | None,
        typer.Option(
            help="With --workers: megabytes a second, of all workers together, into a store that is no shared disk.",
            metavar="MB",
            min=0.001,
        ),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="With --workers: as JSON.")] = False,
) -> None:
    """Show the least time that a search's training and evaluation take on a machine: what each part of a step must read
    and compute, over what the machine can. Nothing is trained; of the base policy only the configuration is read.

    With --workers, how long the whole search takes on one worker and on many: the driver's own code is rehearsed with
    jobs that take no time, and an event queue has them take theirs. Which runs train together, `executor.pack` of the
    configuration says.

    What it takes on this machine, measured: `reward-search run --dry-run`.

    Examples:

    \b
        reward-search plan --preset testbed --machine h100 --pack 10
        reward-search plan --preset testbed --machine here
        reward-search plan --preset paper --set base_model=FOLDER --pack 10 --prompt-tokens 160
        reward-search plan --preset testbed --workers 1,8,64 --measured runs/mine
    """
    from rewards_generated.errors import UserError
    from search.config.source import load_config
    from search.driver.bound import bound, bound_lines, machine_named

    chosen = load_config(preset, config, assignments or [])
    if workers is None:
        given = {"--measured": measured, "--proposing": proposing, "--store": store, "--json": json_output or None}
        if alone := [name for name, value in given.items() if value is not None]:
            raise UserError(f"{alone[0]} goes with --workers; give that too, such as --workers 1,8,64")
        found = bound(chosen, machine_named(machine or "h100", chosen.hardware), pack, prompt_tokens)
        typer.echo("\n".join(bound_lines(found)))
        return
    if pack != 1:
        raise UserError(f"--pack = {pack} goes without --workers; use --set executor.pack={pack}")
    if measured is not None and machine is not None:
        raise UserError("--measured and --machine both say how long jobs take; give one of them")
    from search.forecast.forecast import forecast, forecast_lines

    foreseen = forecast(
        chosen,
        _numbers(workers),
        run=measured,
        machine=machine,
        prompt_tokens=prompt_tokens,
        proposing=proposing,
        store=store,
    )
    typer.echo(json.dumps(foreseen.as_dict(), indent=2) if json_output else "\n".join(forecast_lines(foreseen)))


def _numbers(text: str) -> list[int]:
    from rewards_generated.errors import UserError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"--workers = {text!r} must be whole numbers with commas between, such as 1,8,64") from None


def doctor(
    preset: Annotated[str | None, typer.Option(help="Also check what this preset needs.", metavar="NAME")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Also check what the search in this YAML file needs.", metavar="FILE")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> int:
    """Show what this machine can do and what is missing: packages, GPU, engines, keys, disk, hub, and the sandbox.

    The sandbox is measured by trying what it must forbid. Exit code 1 where there is a gap, each with what to do.

    Examples:

    \b
        reward-search doctor
        reward-search doctor --config search.yaml
    """
    from dataclasses import asdict

    from rewards_generated.sandbox.strength import measure_strength
    from search.config.source import load_config
    from search.driver.doctor import findings

    chosen = load_config(preset, config) if preset or config else None
    found, strength = list(findings(chosen)), measure_strength()
    gaps = any(item.state == "gap" for item in found) or strength.level not in ("strict", "standard")
    if json_output:
        machine = [asdict(item) for item in found]
        typer.echo(json.dumps({"machine": machine, "sandbox": strength.as_dict()}, indent=2))
        return int(gaps)
    for item in found:
        typer.echo(f"{item.state:<7} {item.what}: {item.found}" + (f"\n        {item.advice}" if item.advice else ""))
    typer.echo()
    _print_sandbox(strength)
    return int(gaps)


def _print_sandbox(strength: SandboxStrength) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"Sandbox level: [bold]{strength.level}[/bold]")
    console.print(MEANING[strength.level])
    if strength.problem:
        console.print(strength.problem, markup=False)
    parts = Table("part of the seal", "in force")
    version = f" (interface version {strength.landlock_version})" if strength.landlock_version else ""
    for name, present in (
        ("seccomp filter", strength.seccomp),
        (f"Landlock{version}", strength.landlock),
        ("network of its own", strength.own_network),
        ("empty root directory", strength.own_root),
        ("unprivileged user (only if started by root)", strength.unprivileged_user),
    ):
        parts.add_row(name, "yes" if present else "no")
    console.print(parts)
    attempts = Table("attempt of the self-test", "outcome")
    for name, denied in strength.denied.items():
        attempts.add_row(name.replace("_", " "), "refused" if denied else "[bold red]succeeded[/bold red]")
    console.print(attempts)
    console.print(f"{strength.system} {strength.kernel}, {strength.machine}, Python {strength.python}", markup=False)


MEANING = {
    "strict": "The whole seal holds: LLM-written rewards can run.",
    "standard": "One of seccomp and Landlock holds: LLM-written rewards run unless sandbox.require is strict.",
    "basic": "Only a clean process and limits: LLM-written rewards are refused unless sandbox.require is basic and "
    "sandbox.allow_weak is true.",
    "reduced": "macOS gives no seal: LLM-written rewards are refused unless sandbox.allow_weak is true.",
    "none": "No reward written by an LLM can run here.",
}
"""What each level means to a user."""
