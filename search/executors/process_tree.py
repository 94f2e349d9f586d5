"""Ends a process and everything that descends from it."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress

import psutil


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kills the leader of a session, its process group, and its descendants in sessions of their own; then reaps it."""
    family: list[psutil.Process] = []
    with suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for descendant in family:
        with suppress(psutil.Error):
            descendant.kill()
    process.wait()
