"""`reward-search doctor`: what the sandbox of this machine can hold."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def doctor(
    json_output: Annotated[bool, typer.Option("--json", help="Print the measurement as JSON.")] = False,
) -> None:
    """Measure the sandbox: try what it must forbid, and say which level this machine reaches.

    Example:

    \b
        reward-search doctor
    """
    import json

    from rewards_generated.sandbox.strength import measure_strength

    strength = measure_strength()
    if json_output:
        typer.echo(json.dumps(strength.as_dict(), indent=2))
        return
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
