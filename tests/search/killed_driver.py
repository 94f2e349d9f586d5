"""Drives a search in child processes that are killed at chosen commits of the ledger, and resumes it each time.

    python -m tests.search.killed_driver CONFIG RUN each            killed after every second commit
    python -m tests.search.killed_driver CONFIG RUN before 4 9 ...  killed just before the fourth, then the ninth
    python -m tests.search.killed_driver CONFIG RUN durable SEED A B  killed over and over, every A to B durable moments
    python -m tests.search.killed_driver CONFIG RUN moments SEED N    killed N times at moments that nothing announces

With WHOLE_CONFIG WHOLE_RUN -- before CONFIG that search first runs undisturbed, and all children begin with what it
imported. The commits are counted anew in every child. A durable moment is just before or after a commit, a flush to the
disk or a rename. Prints how often it killed. Raises AssertionError for a process that outlives a killed driver.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from itertools import count, repeat
from pathlib import Path
from typing import Any

import psutil

import search.driver.drive
import search.driver.launch
from rewards_generated.sandbox import SandboxSettings, require_strength
from search.cli import main
from search.ledger import Ledger

_PR_SET_CHILD_SUBREAPER = 36
STRENGTH = require_strength(SandboxSettings())
"""Measured once: every child would measure it anew."""


def killed(arguments: list[str], arm: Callable[[], None]) -> bool:
    """Runs the command line in a child that `arm` has kill itself; False if it came to its end."""
    child = os.fork()
    if child == 0:
        search.driver.launch.require_strength = lambda settings: STRENGTH  # type: ignore[assignment]
        arm()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(main(arguments))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) in (signal.SIGKILL, signal.SIGALRM)
        deadline = time.monotonic() + 30
        while left := [process.cmdline() for process in psutil.Process().children() if process.status() != "zombie"]:
            assert time.monotonic() < deadline, f"outlived its driver: {left}"
            time.sleep(0.02)
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


def _kill_at_durable(moment: int) -> None:
    """The child kills itself at the so many-th durable moment."""
    moments = 0

    def passed() -> None:
        nonlocal moments
        moments += 1
        if moments == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def watched(*values: Any, **named: Any) -> Any:
            passed()
            result = function(*values, **named)
            passed()
            return result

        return watched

    transaction = Ledger._transaction

    @contextmanager
    def committed(ledger: Ledger) -> Iterator[None]:
        with transaction(ledger):
            yield
            passed()
        passed()

    Ledger._transaction = committed  # type: ignore[method-assign]
    os.fsync = around(os.fsync)
    Path.replace = around(Path.replace)  # type: ignore[method-assign]
    Path.rename = around(Path.rename)  # type: ignore[method-assign]


def _kill_after(seconds: float) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def run() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what a killed child leaves becomes a child of ours
    given, kills = sys.argv[1:], 0
    if given[2] == "--":
        search.driver.launch.require_strength = lambda settings: STRENGTH  # type: ignore[assignment]
        assert main(["run", "--config", given[0], "--run-dir", given[1]]) == 0
        given = given[3:]
    config, folder, how, *points = given

    def arguments() -> list[str]:
        if Path(folder).exists():
            return ["run", "--run-dir", folder, "--resume"]
        return ["run", "--config", config, "--run-dir", folder]

    draws = random.Random(" ".join(points))
    arms: Iterator[Callable[[], None]]
    if how == "each":
        arms = repeat(lambda: _kill_at(2, after=True))
    elif how == "durable":
        _, low, high = map(int, points)
        arms = (partial(_kill_at_durable, draws.randint(low, high)) for _ in count())
    elif how == "moments":
        arms = (partial(_kill_after, draws.uniform(0.02, 0.8)) for _ in range(int(points[1])))
    else:
        arms = (partial(_kill_at, int(point), after=False) for point in points)
    for arm in arms:
        if not killed(arguments(), arm):
            break
        kills += 1
    if killed(arguments(), lambda: None):
        raise SystemExit("killed without a reason")
    print(kills)


if __name__ == "__main__":
    run()
