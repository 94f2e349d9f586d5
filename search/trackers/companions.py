"""Trackers beside a running search: a process for each, which neither delays the search nor stops it.

All that is logged goes through these processes, which have the environment of the driver. Jobs log nothing: no key of
a tracker's reaches them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from search.trackers.process import LOG_FILE, place_of

ENDING_SECONDS = 60.0
"""After its end a search waits so long for its trackers, all of them together."""


@contextmanager
def tracked(names: Sequence[str], folder: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Logs the search in the folder while the block runs. `tell` hears once of a tracker that fails, from another
    thread."""
    companions = [_Companion(name, folder, tell) for name in names]
    try:
        yield
    finally:
        for companion in companions:
            companion.let_end()
        until = time.monotonic() + ENDING_SECONDS
        for companion in companions:
            companion.wait(until)


class _Companion:
    def __init__(self, name: str, folder: Path, tell: Callable[[str], None]) -> None:
        self._name, self._tell, self._late = name, tell, False
        place = place_of(folder, name)
        place.mkdir(parents=True, exist_ok=True)
        self._log = place / LOG_FILE
        # -P: what lies in the user's folder must not stand in for this project's packages, nor for the tracker's.
        command = [sys.executable, "-P", "-m", "search.trackers.process", str(folder), name]
        with self._log.open("wb") as log:
            # Of a session of its own, Ctrl-C does not reach it: it ends when the driver does.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        self._watcher = threading.Thread(target=self._watch, daemon=True, name=f"tracker-{name}")
        self._watcher.start()

    def let_end(self) -> None:
        """What is in the ledger by now is still logged."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(b"\n")
            self._process.stdin.close()

    def wait(self, until: float) -> None:
        self._watcher.join(max(0.0, until - time.monotonic()))
        if self._watcher.is_alive():
            self._late = True
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._watcher.join()

    def _watch(self) -> None:
        if self._process.wait() != 0:
            why = f"it did not end within {ENDING_SECONDS:.0f} s" if self._late else self._last_line()
            self._tell(
                f"warning: the tracker {self._name!r} stopped ({why}); the search does not need it, and what it lacks "
                f"is logged when the run is resumed. More in {self._log}"
            )

    def _last_line(self) -> str:
        lines = [line.strip() for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines()]
        return next((line[:300] for line in reversed(lines) if line), f"exit code {self._process.returncode}")
