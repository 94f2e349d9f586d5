"""Runs jobs one after the other in this process: the simplest thing that can stand where an executor stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from trainer.jobs.base import Done, Job
from trainer.jobs.folder import JOB_FILE, RESULT_FILE, kept_result, write_model
from trainer.jobs.process import run
from trainer.jobs.registry import KINDS

RunJobs = Callable[[Sequence[Job], Path], Iterator[Done]]
"""(jobs, folder) -> each when it has ended: the `run` of an executor."""


def run_here(jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
    """Each in `folder/DIGEST`. Peak memory is then of the whole process, not of the job."""
    for job in jobs:
        place = folder / job.digest
        result = kept_result(place, job.digest, KINDS[job.kind].result)
        if result is None:
            place.mkdir(parents=True, exist_ok=True)
            (place / RESULT_FILE).unlink(missing_ok=True)
            write_model(place / JOB_FILE, job)
            result = run(place)
        yield Done(job, result, place)
