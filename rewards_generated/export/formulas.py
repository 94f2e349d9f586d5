"""Equality of formulas in an exported folder: math-verify in a child process that can be killed when it is late.

The text of `reward` that the child runs is filled in by the export. Without math-verify formulas are equal only where
they are written alike, which is logged once; plain numbers and words need none of this.
"""

from __future__ import annotations

import atexit
import functools
import json
import logging
import os
import select
import subprocess
import sys
import threading
import time

PROGRAM = ""
"""Python text that defines `reward(prompt, completion, answer)`."""
TIME_LIMIT_SECONDS = 3.0
START_LIMIT_SECONDS = 120.0
_SERVE = """
import json, os, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
replies = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
replies.write("ready\\n")
for line in sys.stdin:
    replies.write("1\\n" if reward("", *json.loads(line)) else "0\\n")
"""


class FormulaWorker:
    """One child, started at the first question and after each that was late. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = -1
        self._missing = False

    def equal(self, answer: str, gold: str) -> bool:
        with self._lock:
            process = None if self._missing else self._running()
            if process is None or process.stdin is None:
                return False
            try:
                process.stdin.write(json.dumps([answer, gold]).encode() + b"\n")
                process.stdin.flush()
            except BrokenPipeError:
                self._stop()
                return False
            reply = _read_line(process, TIME_LIMIT_SECONDS)
            if reply is None:
                self._stop()
            return reply == b"1"

    def close(self) -> None:
        with self._lock:
            self._stop()

    def _running(self) -> subprocess.Popen[bytes] | None:
        if self._owner != os.getpid():
            self._process, self._owner = None, os.getpid()  # after a fork the pipes are the parent's
        if self._process is None or self._process.poll() is not None:
            environment = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", PROGRAM + _SERVE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
            if _read_line(self._process, START_LIMIT_SECONDS) != b"ready":
                self._stop()
                self._missing = True
                logging.getLogger(__name__).warning(
                    "math-verify cannot be run by %s: formulas count as different unless they are written alike; "
                    "install it",
                    sys.executable,
                )
        return self._process

    def _stop(self) -> None:
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
        self._process = None


def _read_line(process: subprocess.Popen[bytes], limit: float) -> bytes | None:
    """One line without its end; None at the end of the stream or when the time is up."""
    assert process.stdout is not None
    deadline, received = time.monotonic() + limit, b""
    while not received.endswith(b"\n"):
        if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return None
        piece = os.read(process.stdout.fileno(), 4096)
        if not piece:
            return None
        received += piece
    return received.strip()


_FORMULAS = FormulaWorker()
atexit.register(_FORMULAS.close)


@functools.lru_cache(maxsize=65_536)
def symbolically_equal(answer: str, gold: str) -> bool:
    return _FORMULAS.equal(answer, gold)
