"""Drives a search in child processes that are killed at chosen commits of the ledger, and resumes it each time.

    python -m tests.search.killed_driver CONFIG RUN each            killed after every second commit
    python -m tests.search.killed_driver CONFIG RUN before 4 9 ...  killed just before the fourth, then the ninth

The commits are counted anew in every child. Prints how often it killed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import search.driver.drive
import search.driver.launch
from rewards_generated.sandbox import SandboxSettings, require_strength
from search.cli import main
from search.ledger import Ledger

STRENGTH = require_strength(SandboxSettings())
"""Measured once: every child would measure it anew."""


def killed(arguments: list[str], commit: int, *, after: bool) -> bool:
    """Runs the command line in a child that kills itself at its commit number `commit`; False if it came to its end."""
    child = os.fork()
    if child == 0:
        search.driver.launch.require_strength = lambda settings: STRENGTH  # type: ignore[assignment]
        _kill_at(commit, after)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(main(arguments))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"the driver ended with exit code {os.waitstatus_to_exitcode(status)}")
    return False


def _kill_at(commit: int, after: bool) -> None:
    transaction, commits = Ledger._transaction, 0

    @contextmanager
    def counted(ledger: Ledger) -> Iterator[None]:
        nonlocal commits
        commits += 1
        with transaction(ledger):
            yield
            if commits == commit and not after:
                os.kill(os.getpid(), signal.SIGKILL)
        if commits == commit and after:
            os.kill(os.getpid(), signal.SIGKILL)

    Ledger._transaction = counted  # type: ignore[method-assign]


def run() -> None:
    config, folder, how, *points = sys.argv[1:]
    kills = 0

    def arguments() -> list[str]:
        if Path(folder).exists():
            return ["run", "--run-dir", folder, "--resume"]
        return ["run", "--config", config, "--run-dir", folder]

    if how == "each":
        while killed(arguments(), 2, after=True):
            kills += 1
    else:
        for point in points:
            kills += killed(arguments(), int(point), after=False)
        if killed(arguments(), -1, after=False):
            raise SystemExit("killed without a reason")
    print(kills)


if __name__ == "__main__":
    run()
