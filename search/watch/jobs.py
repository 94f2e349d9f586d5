"""Training jobs that run now, as their folders show them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from trainer.jobs.folder import JOB_FILE, LOG_FILE, RESULT_FILE, STEPS_FILE

_LINE = re.compile(
    r"^\S+ \S+ (?:(?P<label>.*): )?step (?P<step>\d+)/\d+  reward (?P<reward>\S+)  accuracy (?P<accuracy>\S+)  "
    r"tokens (?P<tokens>\S+)  entropy (?P<entropy>\S+)$"
)
FIGURES = ("reward", "accuracy", "tokens", "entropy")
LONGEST_LOG = 400_000
"""Bytes at the end of a log that are read."""


class RunningJob(NamedTuple):
    label: str
    runs: tuple[str, ...]
    """Labels of the training runs in it."""
    steps: int
    """Done by each of them."""
    of: int | None
    """Steps of each; None: it is no training."""
    curves: dict[str, tuple[dict[str, float], ...]]
    """By label of a run: `step` and figures, every ten steps."""
    log: tuple[str, ...]
    """Its last lines."""


def running_jobs(folder: Path) -> list[RunningJob]:
    """Of the jobs in the folder those without a result, in the order of their start."""
    found = []
    for place in folder.iterdir() if folder.is_dir() else ():
        if (place / JOB_FILE).is_file() and not (place / RESULT_FILE).exists():
            try:
                found.append(((place / JOB_FILE).stat().st_mtime, _job(place)))
            except (OSError, ValueError, KeyError, TypeError):
                continue  # It ended while it was read.
    return [job for _, job in sorted(found, key=lambda item: (item[0], item[1].label))]


def _job(place: Path) -> RunningJob:
    job = json.loads((place / JOB_FILE).read_text(encoding="utf-8"))
    members = job.get("members") or []
    log = _end_of(place / LOG_FILE)
    runs = tuple(str(member["label"]) for member in members)
    return RunningJob(
        label=str(job.get("label") or place.name[:12]),
        runs=runs,
        steps=_number(place / STEPS_FILE),
        of=int(job.get("stop") or members[0]["grpo"]["steps"]) if members else None,
        curves=_curves(log, runs),
        log=tuple(log[-8:]),
    )


def _curves(log: list[str], runs: tuple[str, ...]) -> dict[str, tuple[dict[str, float], ...]]:
    found: dict[str, dict[int, dict[str, float]]] = {run: {} for run in runs}
    for line in log:
        if match := _LINE.match(line):
            label = match["label"] or (runs[0] if len(runs) == 1 else "")
            if label in found:
                step = int(match["step"])
                figures = {name: float(match[name]) for name in FIGURES if match[name] not in ("none", "nan")}
                found[label][step] = {"step": float(step), **figures}
    return {run: tuple(by_step[step] for step in sorted(by_step)) for run, by_step in found.items()}


def _end_of(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LONGEST_LOG))
            return [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        return []


def _number(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0
