"""Ends a process and everything that descends from it."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kills the leader of a session, its process group, and its descendants in sessions of their own; then reaps it.

    Descendants are found through /proc; where there is none, the process group is all.
    """
    family = descendants(process.pid)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for pid in family:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def descendants(pid: int) -> list[int]:
    """Process ids of the children of `pid`, of their children, and so on."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            # The name in parentheses may itself hold spaces and parentheses.
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.parent.name))
    found: list[int] = []
    queue = [pid]
    while queue:
        found.extend(young := children.get(queue.pop(), []))
        queue.extend(young)
    return found
