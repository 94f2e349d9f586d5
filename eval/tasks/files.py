"""The local files that a task's questions come from, and what tells their contents apart."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eval.tasks.base import TaskReference
from eval.tasks.registry import build_task


def local_files(reference: TaskReference) -> list[Path]:
    """Those that the task says it reads; of a task that does not say, every file that its options name, and the files
    of every folder that they name beside the working folder and those above it."""
    files = getattr(build_task(reference), "files", None)
    if files is not None:
        return [Path(file) for file in files()]
    return [file for text in texts(reference.options) for file in _named(Path(text).expanduser())]


def file_digest(path: Path) -> str:
    """SHA-256 of the contents, hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def texts(value: Any) -> Iterator[str]:
    """All texts among plain values, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def _named(path: Path) -> list[Path]:
    if os.path.isfile(path):  # of a text that cannot be a path it says False, where Path.is_file raises
        return [path]
    if not os.path.isdir(path) or Path.cwd().is_relative_to(path.resolve()):
        return []
    return sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
