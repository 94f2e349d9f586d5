"""Stopping and resuming the search that is watched."""

from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil

from rewards_generated.errors import UserError
from search.driver.status import state_of
from search.ledger import Ledger, is_driven
from search.ledger.lock import LOCK_FILE

LOG_FILE = "resumed.log"
"""In the run directory: what a search says that was resumed from the page."""


class Control:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._resumed: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """As Ctrl-C does, and only asks for it: running jobs are ended first. Raises UserError if no process of this
        machine drives the search."""
        os.kill(self._driver(), signal.SIGTERM)

    def resume(self) -> None:
        """In a process of its own, which outlives this one. Raises UserError if the search is driven."""
        if is_driven(self._folder) or (self._resumed is not None and self._resumed.poll() is None):
            raise UserError("the search is running already")
        command = [sys.executable, "-P", "-m", "search.cli", "run", "--run-dir", str(self._folder), "--resume"]
        with (self._folder / LOG_FILE).open("wb") as log:
            self._resumed = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def problem(self) -> str | None:
        """Why the search that was resumed last did not go on; None: it did, or none was."""
        if self._resumed is None or self._resumed.poll() in (None, 0, -signal.SIGTERM, 130):
            return None
        text = (self._folder / LOG_FILE).read_text(encoding="utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else f"it ended with exit code {self._resumed.returncode}"

    def state(self) -> str:
        with closing(Ledger.open(self._folder)) as ledger:
            return state_of(self._folder, ledger)

    def _driver(self) -> int:
        """The process that holds the lock, by what it wrote into it, once it is seen to have the file open."""
        place = self._folder / LOCK_FILE
        written = place.read_text(encoding="utf-8", errors="replace") if is_driven(self._folder) else ""
        found = re.match(r"process (\d+) on (.*)", written)
        if found is None:
            raise UserError("no process drives the search")
        if found[2] != platform.node():
            raise UserError(f"the search is driven on another machine, {found[2]!r}: stop it there")
        try:
            open_files = {file.path for file in psutil.Process(int(found[1])).open_files()}
        except psutil.Error as error:
            raise UserError(f"the process that drives the search cannot be reached: {error}") from None
        if str(place.resolve()) not in open_files:
            raise UserError("the search is driven by a process that cannot be told: stop it with Ctrl-C")
        return int(found[1])
