"""The command line: `reward-search COMMAND`. A command's module is imported only when that command runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from typer import Abort, Exit, TyperException
from typer.core import TyperGroup

from rewards_generated.errors import UserError
from search.cli.commands import LazyGroup

__all__ = ["LazyGroup", "main"]

USAGE_ERROR = 2
INTERRUPTED = 130

HELP = """Search for reward functions for LLM reasoning: propose, check, screen by GRPO, rank, repeat.

Example: the whole search on the embedded testbed, with no key, no GPU and no download:

\b
    reward-search run --preset testbed-quick
"""


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


def application() -> TyperGroup:
    return LazyGroup(name="reward-search", help=HELP, rich_markup_mode=None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code: 0, 2 for a user's mistake, 130 after Ctrl-C.

    A user's mistake is one sentence on stderr. Commands may also return their own exit code (`validate`: 1 when
    a reward is rejected).
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        require_own_packages()
        code = application().main(
            args=given or ["--help"],
            prog_name="reward-search",
            standalone_mode=False,
        )
    except UserError as error:
        print(f"reward-search: {error}", file=sys.stderr)
        return USAGE_ERROR
    except TyperException as error:
        message = error.format_message().rstrip(".").replace("\n", " ")
        command = getattr(getattr(error, "ctx", None), "command_path", "reward-search")
        print(f"reward-search: {message}; see `{command} --help`.", file=sys.stderr)
        return USAGE_ERROR
    except Exit as exit_request:
        return exit_request.exit_code
    except (Abort, KeyboardInterrupt):
        return INTERRUPTED
    return code if isinstance(code, int) else 0
