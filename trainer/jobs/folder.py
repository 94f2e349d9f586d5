"""The files of a job's folder, and how a result is written so that it is whole or not there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from rewards_generated.files import write_whole
from trainer.jobs.base import Result

JOB_FILE = "job.json"
RESULT_FILE = "result.json"
DIGEST_SUFFIX = ".sha256"
"""Of the file beside a result that holds its SHA-256, hex."""
LOG_FILE = "log.txt"
ADAPTER = "adapter"
STEPS_FILE = "steps"
"""Of a job that trains: how many steps it has done, for those who watch it."""
CHECKPOINT = "checkpoint"
"""Of a job that trains: where it goes on after an interruption, and its members in other jobs after its stop."""
MEMBERS = "members"
"""Of a job that trains: a folder for each member, by its digest."""

AnyResult = TypeVar("AnyResult", bound=Result)


def write_model(path: Path, content: BaseModel) -> None:
    """The JSON, whole or not at all; beside that of a result its SHA-256, without which it is none."""
    written = content.model_dump_json()
    if isinstance(content, Result):
        write_whole(path.with_suffix(DIGEST_SUFFIX), hashlib.sha256(written.encode()).hexdigest())
    write_whole(path, written)


def read_result(folder: Path, digest: str, kind: type[AnyResult]) -> AnyResult | None:
    """The result in the folder; None where there is none, or one of another job, of another version, or damaged."""
    path = folder / RESULT_FILE
    try:
        written = path.read_bytes()
        if hashlib.sha256(written).hexdigest() != path.with_suffix(DIGEST_SUFFIX).read_text(encoding="ascii"):
            return None
        result = kind.model_validate_json(written)
    except (OSError, ValueError):
        return None
    return result if result.digest == digest else None


def kept_result(folder: Path, digest: str, kind: type[AnyResult]) -> AnyResult | None:
    """The result that an earlier run left, if the job need not run again: what it names is there, and a failure is the
    candidate's own."""
    result = read_result(folder, digest, kind)
    if result is None or result.owner not in (None, "candidate"):
        return None
    there = all((folder / name).is_dir() for name in result.files)
    return result if there and not damaged(folder, result.sha256) else None


def hashes(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of every file in these folders, by its path relative to `folder`."""
    files = sorted(file for name in names for file in (folder / name).rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): _sha256(file) or "" for file in files}


def damaged(folder: Path, recorded: Mapping[str, str]) -> list[str]:
    """Which of these files are gone or no longer what they were, by their SHA-256."""
    return [name for name, digest in recorded.items() if _sha256(folder / name) != digest]


def _sha256(file: Path) -> str | None:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return None


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    from importlib.metadata import version
    from platform import python_version

    packages = ("torch", "transformers", "trl", "peft", "reward-search")
    return {"python": python_version(), **{name: version(name) for name in packages}}
