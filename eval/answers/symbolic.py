"""Equality of mathematical expressions through math-verify, in a process that can be killed.

math-verify's own time limits are signals: they work in the main thread only and cannot interrupt one long step
of arithmetic. So a worker process answers one question at a time, and is killed and replaced when it is late.
"""

from __future__ import annotations

import atexit
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from functools import lru_cache
from pathlib import Path

TIME_LIMIT_SECONDS = 3.0
START_LIMIT_SECONDS = 120.0
MEMORY_LIMIT_BYTES = 2 * 2**30


@lru_cache(maxsize=65_536)
def symbolically_equal(answer: str, gold: str) -> bool:
    """Whether math-verify finds two LaTeX or plain expressions equal. False where it cannot tell in time."""
    return _WORKER.equal(answer, gold)


class SymbolicWorker:
    """One worker process, started when first asked, restarted after a late or lost answer. Thread-safe."""

    def __init__(self, time_limit: float = TIME_LIMIT_SECONDS) -> None:
        self.time_limit = time_limit
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = -1
        self._lock = threading.Lock()

    def equal(self, answer: str, gold: str) -> bool:
        with self._lock:
            process = self._running()
            request = json.dumps({"answer": answer, "gold": gold}) + "\n"
            try:
                assert process.stdin is not None
                process.stdin.write(request.encode())
                process.stdin.flush()
            except BrokenPipeError:
                self._stop()
                return False
            reply = _read_line(process, self.time_limit)
            if reply is None:
                self._stop()
                return False
            return reply == b"true"

    def close(self) -> None:
        with self._lock:
            self._stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._owner != os.getpid():
            # After a fork the pipes are the parent's: leave them to it.
            self._process = None
        if self._process is not None and self._process.poll() is not None:
            self._stop()
        if self._process is None:
            self._process = _start()
            self._owner = os.getpid()
        return self._process

    def _stop(self) -> None:
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        continue
        self._process = None


def _start() -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-I", str(Path(__file__).with_name("symbolic_worker.py")), str(MEMORY_LIMIT_BYTES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    if _read_line(process, START_LIMIT_SECONDS) != b"ready":
        process.kill()
        process.wait()
        raise RuntimeError("the process that runs math-verify did not start; is math-verify installed?")
    return process


def _read_line(process: subprocess.Popen[bytes], limit: float) -> bytes | None:
    """One line without its end; None at the end of the stream or when the time is up."""
    assert process.stdout is not None
    deadline = time.monotonic() + limit
    received = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not received.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return None
            piece = os.read(process.stdout.fileno(), 4096)
            if not piece:
                return None
            received += piece
    return received.strip()


_WORKER = SymbolicWorker()
atexit.register(_WORKER.close)
