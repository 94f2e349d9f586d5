"""Files and folders that are there whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes beside `path`, flushes to disk and renames, so that a reader finds all of it, or what was there before.
    Text is written in UTF-8, with its line ends as they are."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: Path, name: str = "*", *, below: bool = True) -> None:
    """Removes what processes that are gone were writing in place of `name` when they were killed. `below`: in folders
    of the folder too."""
    for left in (folder.rglob if below else folder.glob)(f".{name}.*"):
        number = left.name.rpartition(".")[2]
        if number.isdigit() and not _alive(int(number)):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def partial_of(folder: Path) -> Path:
    """An empty place beside the folder, in which what is to replace it is written."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    return partial


def former_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.former")


def replace_folder(partial: Path, folder: Path) -> None:
    """Puts `partial` in the place of `folder`, which may be there. A process that is killed in between leaves the one
    or the other, whole; if only as `former_of` it, `restored` brings it back."""
    former = former_of(folder)
    if folder.exists():
        shutil.rmtree(former, ignore_errors=True)
        folder.rename(former)
    partial.rename(folder)
    shutil.rmtree(former, ignore_errors=True)


def restored(folder: Path) -> bool:
    """Whether the folder is there, after an interrupted replacement was taken back."""
    former = former_of(folder)
    if not folder.is_dir() and former.is_dir():
        former.rename(folder)
    return folder.is_dir()
