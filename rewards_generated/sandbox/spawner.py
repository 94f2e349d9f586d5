"""The thread that starts all workers of this process.

The kernel sends the parent-death signal when the *thread* that spawned a process exits, so workers must not be spawned
by short-lived ones.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

_lock = threading.Lock()
_executor: ThreadPoolExecutor | None = None
_owner: int | None = None


def spawn(
    command: Sequence[str], environment: Mapping[str, str], directory: str, descriptors: Sequence[int]
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own that inherits nothing but `descriptors`."""
    global _executor, _owner
    with _lock:
        if _executor is None or _owner != os.getpid():
            _executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-spawner")
            _owner = os.getpid()
        started = _executor.submit(_start, list(command), dict(environment), directory, tuple(descriptors))
    return started.result()


def _start(
    command: list[str], environment: dict[str, str], directory: str, descriptors: tuple[int, ...]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env=environment,
        cwd=directory,
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
