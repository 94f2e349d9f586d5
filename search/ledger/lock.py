"""One driver per run directory: an advisory lock that the operating system frees when the driver dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from rewards_generated.errors import UserError

LOCK_FILE = "driver.lock"


class DriverLock:
    """A context manager. Entering raises UserError while another process drives the same run."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK_FILE

    def __enter__(self) -> DriverLock:
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise UserError(
                f"{self.path.parent} is being driven by another process; wait for it, or stop it with Ctrl-C"
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


def is_driven(folder: Path) -> bool:
    """Whether a process drives this run now. A reader: it leaves no trace."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
