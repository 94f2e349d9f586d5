"""The files of a job's folder, and how a result is written so that it is whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel

JOB_FILE = "job.json"
RESULT_FILE = "result.json"
LOG_FILE = "log.txt"
ADAPTER = "adapter"
STEPS_FILE = "steps"
"""Of a job that trains: how many steps it has done, for those who watch it."""
CHECKPOINT = "checkpoint"
"""Of a pack: where it goes on after an interruption, and its members in other packs after its stop."""
MEMBERS = "members"
"""Of a pack: a folder for each member, by its digest, like that of a job by itself."""


def write_atomically(path: Path, content: BaseModel) -> None:
    """Writes the JSON beside `path`, flushes it to disk and renames it, so that a reader finds all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(content.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    from importlib.metadata import version
    from platform import python_version

    packages = ("torch", "transformers", "trl", "peft", "reward-search")
    return {"python": python_version(), **{name: version(name) for name in packages}}
