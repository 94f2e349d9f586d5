"""Ends this process, and everything it started, when the process that it works for is gone."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.5


def hold_on_to(parent: int) -> None:
    """From now on this process is killed when process `parent`, its parent, dies. It must lead its process group.

    The kernel does it at once on Linux; a thread that watches the parent's id does it elsewhere, and covers a
    parent that was gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        _end()
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="lifeline").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    _end()


def _end() -> None:
    os.killpg(os.getpgid(0), signal.SIGKILL)
