"""One driver per run directory: an advisory lock that the operating system frees when the driver dies."""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rewards_generated.errors import UserError

LOCK_FILE = "driver.lock"


@contextmanager
def driver_lock(folder: Path) -> Iterator[None]:
    """Raises UserError while another process drives the same run, and where nothing can be written."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}), so nothing can go on in it; copy it to where you may write"
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            written = os.pread(descriptor, 200, 0).decode(errors="replace")
            holder = "".join(character for character in written if character.isprintable())
            raise UserError(
                f"{folder} is being driven by another process{f' ({holder})' if holder else ''}; wait for it, or stop "
                "it with Ctrl-C"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {platform.node()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


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
