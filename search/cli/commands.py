"""The table of commands, and the group that imports a command's module only when the command runs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

# Name -> (module with a `typer.Typer` called `app`, one line for the list of commands).
COMMANDS = {
    "run": ("search.cli.run", "Run a search, or resume one."),
    "ask": ("search.cli.ask", "Print the question that a search waits on."),
    "tell": ("search.cli.tell", "Answer that question from a file, and go on."),
    "status": ("search.cli.status", "Show how far a search has come."),
    "leaderboard": ("search.cli.leaderboard", "Print the leaderboard of a search."),
    "report": ("search.cli.report", "Write the report of a search as one HTML file."),
    "pipeline": ("search.cli.pipeline", "Train by supervised fine-tuning, then GRPO, and evaluate on several suites."),
    "compare": ("search.cli.compare", "Compare the predictions of several models."),
    "study": ("search.cli.study", "Test a claim by whole runs over arms and seeds."),
    "export": ("search.cli.export", "Write an ensemble as a folder for other trainers."),
    "score": ("search.cli.score", "Score a file of rollouts with an ensemble."),
    "validate": ("search.cli.validate", "Check reward files with the gate."),
    "config": ("search.cli.config", "List every field of the configuration with its help."),
    "doctor": ("search.cli.doctor", "Show what this machine can do and what is missing."),
    "testbed": ("search.cli.testbed", "Build and inspect the built-in testbed."),
}


class LazyGroup(TyperGroup):
    """Lists its commands from the table, and loads a module only to run its command or to print its help."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, short_help=COMMANDS[cmd_name][1])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None:
            command = load(args[0])
        return name, command, rest


def load(name: str) -> Any:
    """The real command `name`, with its module imported."""
    application: typer.Typer = import_module(COMMANDS[name][0]).app
    command = get_command(application)
    command.name = name
    return command
