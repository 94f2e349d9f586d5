"""Terminals of any kind: completion, and ASCII where nothing else can be shown."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress

import pytest

COMMAND = [sys.executable, "-m", "search.cli"]
SHOWN = [
    sys.executable,
    "-c",
    "from search.cli.terminal import write_out_what_cannot_be_shown; write_out_what_cannot_be_shown(); import typer; "
    "typer.echo('0.5 ± 0.1 — x'); from rich.console import Console; from rich.table import Table; "
    "Console().print(Table('a', 'b'))",
]
BARE = {name: value for name, value in os.environ.items() if not name.startswith("LC_")}


def on_a_terminal(locale: str, **environment: str) -> str:
    """What is written to a pseudo-terminal of that locale."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(SHOWN, stdout=theirs, stderr=theirs, env=BARE | {"LANG": locale} | environment)
    os.close(theirs)
    written = b""
    with suppress(OSError):  # the other end is closed
        while part := os.read(ours, 65536):
            written += part
    os.close(ours)
    assert process.wait() == 0
    return written.decode()


def test_a_terminal_of_the_c_locale_gets_ascii_alone() -> None:
    shown = on_a_terminal("C")
    assert shown.isascii()
    assert "0.5 +/- 0.1 - x" in shown
    assert "+---" in shown
    assert on_a_terminal("en_US.UTF-8", LC_ALL="C").isascii()
    assert "┏" in on_a_terminal("C.UTF-8")


def test_what_an_encoding_lacks_is_written_out() -> None:
    for encoding, told in (("ascii", b"0.5 +/- 0.1 - x"), ("latin-1", "0.5 ± 0.1 - x".encode("latin-1"))):
        done = subprocess.run(SHOWN, env=BARE | {"PYTHONIOENCODING": encoding}, capture_output=True, check=True)
        assert told in done.stdout


def test_a_file_gets_utf_8_in_the_c_locale_too() -> None:
    done = subprocess.run(SHOWN, env=BARE | {"LANG": "C"}, capture_output=True, check=True)
    assert "0.5 ± 0.1 — x" in done.stdout.decode()


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("reward-search lea", "leaderboard"),
        ("reward-search run --dr", "--dry-run"),
        ("reward-search study f", "feedback"),
    ],
)
def test_bash_completes_commands_and_options(line: str, completed: str) -> None:
    environment = {
        "_REWARD_SEARCH_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    done = subprocess.run(COMMAND, env=os.environ | environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [completed]


def test_zsh_completes_commands() -> None:
    environment = {"_REWARD_SEARCH_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "reward-search lea"}
    done = subprocess.run(COMMAND, env=os.environ | environment, capture_output=True, text=True, check=True)
    assert '"leaderboard":' in done.stdout
