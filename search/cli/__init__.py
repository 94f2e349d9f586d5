"""The command line: `reward-search COMMAND`. A command's module is imported only when that command runs."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from typer import Abort, Exit, Option, Typer, TyperException
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from rewards_generated.children import keep_exit_codes
from rewards_generated.errors import SCARCE, UserError, nearest
from search.cli.terminal import write_out_what_cannot_be_shown

USAGE_ERROR = 2
INTERRUPTED = 130

HELP = """Search for reward functions for LLM reasoning: propose, check, screen by GRPO, rank, repeat.

Example: the whole search on the embedded testbed, with no key, no GPU and no download:

\b
    reward-search run --preset testbed-quick
"""


# Name -> (module with a function or `typer.Typer` of that name or of the one behind the colon, a line for the list).
COMMANDS = {
    "init": ("search.cli.start", "Write a commented configuration with tiny data, ready to run."),
    "run": ("search.cli.runs", "Run a search, or resume one."),
    "ask": ("search.cli.runs", "Print the question that a search waits on."),
    "tell": ("search.cli.runs", "Answer that question from a file, and go on."),
    "status": ("search.cli.runs", "Show how far a search has come."),
    "check": ("search.cli.runs", "Look for damage in a run directory, and mend it."),
    "watch": ("search.cli.runs", "Show a search on a local page while it runs."),
    "leaderboard": ("search.cli.runs", "Print the leaderboard of a search."),
    "report": ("search.cli.runs", "Write the report of a search as one HTML file."),
    "pipeline": ("search.cli.runs", "Train by supervised fine-tuning, then GRPO, and evaluate on several suites."),
    "compare": ("search.cli.tools", "Compare the predictions of several models."),
    "study": ("search.cli.study", "Test a claim by whole runs over arms and seeds."),
    "export": ("search.cli.rewards", "Write an ensemble as a folder for other trainers."),
    "score": ("search.cli.rewards", "Score a file of rollouts with an ensemble."),
    "validate": ("search.cli.rewards", "Check reward files with the gate."),
    "import": ("search.cli.rewards:import_rewards", "Turn a file of rewards into modules of one reward each."),
    "source": ("search.cli.rewards", "Print the code of a candidate of a run."),
    "plan": ("search.cli.tools", "Show the time of a search on a GPU at the least, or on many workers."),
    "config": ("search.cli.tools", "List every field of the configuration with its help."),
    "doctor": ("search.cli.tools", "Show what this machine can do and what is missing."),
    "testbed": ("search.cli.testbed", "Build and inspect the built-in testbed."),
}


def _print_version(asked: bool) -> None:
    if asked:
        print(f"reward-search {version('reward-search')}")
        raise Exit


def _options(
    version: Annotated[
        bool, Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None: ...


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
    module, _, function = COMMANDS[name][0].partition(":")
    application = getattr(import_module(module), function or name)
    command = get_command(application) if isinstance(application, Typer) else _command(application)
    command.name = name
    return command


def _command(function: Any, *, completion: bool = False) -> Any:
    application = Typer(add_completion=completion, rich_markup_mode=None)
    application.command()(function)
    return get_command(application)


def require_own_packages() -> None:
    """Raises UserError where a folder or file of the user's, earlier on Python's path, hides one of our packages."""
    ours = Path(__file__).parents[2]
    for name in ("rewards_generated", "eval", "trainer"):
        found = find_spec(name)
        places = [] if found is None else list(found.submodule_search_locations or [found.origin or ""])
        if not any(Path(place).parent == ours for place in places):
            raise UserError(
                f"{places[0] if places else name} hides reward-search's own package {name!r}: rename it, or start from "
                "another folder and without PYTHONPATH leading there"
            )


def _printable(text: str) -> str:
    """What comes from files, without what a terminal takes for a command."""
    return "".join(character if character.isprintable() or character == "\n" else " " for character in text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code: 0, 2 for a user's mistake, 130 after Ctrl-C.

    A user's mistake is one sentence on stderr. Commands may also return their own exit code (`validate`: 1 when
    a reward is rejected).
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    write_out_what_cannot_be_shown()
    keep_exit_codes()
    try:
        require_own_packages()
        commands = LazyGroup(
            name="reward-search",
            help=HELP,
            rich_markup_mode=None,
            params=_command(_options, completion=True).params,
            context_settings={"help_option_names": ["-h", "--help"]},
        )
        code = commands.main(args=given or ["--help"], prog_name="reward-search", standalone_mode=False)
    except UserError as error:
        print(f"reward-search: {_printable(str(error))}", file=sys.stderr)
        return USAGE_ERROR
    except OSError as error:
        if error.errno not in SCARCE:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"reward-search: {where}{error.strerror}; see to it and try again (a run goes on with --resume)",
            file=sys.stderr,
        )
        return USAGE_ERROR
    except TyperException as error:
        message = error.format_message().rstrip(".").replace("\n", " ")
        if unknown := re.fullmatch(r"No such command '(.*)'", message):
            message += f": {nearest(unknown[1], COMMANDS)}"
        command = getattr(getattr(error, "ctx", None), "command_path", "reward-search")
        see = " See" if message.endswith("?") else "; see"
        print(f"reward-search: {_printable(message)}{see} `{command} --help`.", file=sys.stderr)
        return USAGE_ERROR
    except Exit as exit_request:
        return exit_request.exit_code
    except (Abort, KeyboardInterrupt):
        return INTERRUPTED
    return code if isinstance(code, int) else 0
