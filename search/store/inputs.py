"""What a job refers to by path on the machine that describes it, which has to travel to the machine that runs it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from eval.tasks.base import TaskReference
from eval.tasks.files import local_files, texts
from rewards_generated.errors import UserError
from trainer.jobs.base import Job


@dataclass(frozen=True, slots=True)
class Input:
    """A file or a folder that a job needs beside its description."""

    path: Path
    name: str | None = None
    """How the description names it. None: it goes to `target`."""
    target: str | None = None
    """Place relative to the folder in which the job's own folder lies."""
    only: tuple[str, ...] = ()
    """Of a folder, what is needed; empty: all."""
    lasting: bool = False
    """Other jobs are likely to need it too: base policies and data."""
    is_file: bool = False


def inputs_of(job: Job, folder: Path) -> list[Input]:
    """Of a job that runs in `folder/<its digest>`, what is there of what it names. What is not there does not travel:
    a name of the hub, or a path that the other machine may have.

    Raises UserError naming a file that cannot travel.
    """
    _require_no_paths(job)
    found = [Input(path, name, lasting=True, is_file=path.is_file()) for name, path in _there(job.inputs)]
    found += [Input(path, name) for name, path in _there(job.trained)]
    for task in job.tasks:
        found += _data(task.model_dump_json())
    origins: dict[str, list[str]] = {}
    for sibling in job.siblings:
        place, _, name = sibling.partition("/")
        origins.setdefault(place, []).append(name)
    found += [Input(folder / place, None, place, tuple(names)) for place, names in origins.items()]
    own = folder / job.digest
    if own.is_dir() and any(path.is_dir() for path in own.iterdir()):
        found.append(Input(own, None, job.digest))
    return list(dict.fromkeys(found))


def _there(names: Iterable[str]) -> Iterator[tuple[str, Path]]:
    for name in names:
        path = Path(name).expanduser()
        # Of a text that cannot be a path these say False, where pathlib raises.
        if os.path.isdir(path) or os.path.isfile(path):
            yield name, path


@cache
def _data(reference: str) -> tuple[Input, ...]:
    """The files that the task reads, by the options that name them, or the folders that they lie in."""
    task = TaskReference.model_validate_json(reference)
    found, missing = [], []
    named = [(text, Path(text).expanduser()) for text in texts(task.options)]
    for file in local_files(task):
        # Code is installed where jobs run, as this project is.
        holders = [(text, path) for text, path in named if path == file or path in file.parents]
        if holders:
            found += [
                Input(path, text, only=() if path == file else (file.relative_to(path).as_posix(),), lasting=True)
                for text, path in holders
            ]
        elif file.suffix != ".py":
            missing.append(file)
    if missing:
        raise UserError(
            f"the task {task.name!r} reads {missing[0]}, which none of its options names, so it cannot be sent to the "
            "machine that runs the job: give the task an option with that path, or choose executor.name = local"
        )
    return tuple(_joined(found))


def _joined(found: Iterable[Input]) -> list[Input]:
    """Files of the same folder together."""
    parts: dict[tuple[Path, str | None], list[str]] = {}
    for item in found:
        parts.setdefault((item.path, item.name), []).extend(item.only)
    return [
        Input(path, name, only=tuple(sorted(set(only))), lasting=True, is_file=path.is_file())
        for (path, name), only in parts.items()
    ]


def _require_no_paths(job: Job) -> None:
    for field, options in job.options.items():
        for text in texts(options):
            if os.sep in text and os.path.exists(os.path.expanduser(text)):
                raise UserError(
                    f"`{field}` names {text}, a path of this machine, which cannot be sent to the machine that runs "
                    "the job: leave it out, or choose executor.name = local"
                )
