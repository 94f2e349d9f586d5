"""The contract of executors: jobs in, results out as they finish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trainer.evaluation_job import EvaluationJob, EvaluationResult
from trainer.job import TrainJob, TrainResult


@dataclass(frozen=True, slots=True)
class JobDone:
    job: TrainJob
    result: TrainResult
    folder: Path
    """Where the job's files lie: adapter, log, result.json."""


@dataclass(frozen=True, slots=True)
class EvaluationDone:
    job: EvaluationJob
    result: EvaluationResult
    folder: Path


class Executor(Protocol):
    name: str

    def run(self, jobs: Sequence[TrainJob], folder: Path) -> Iterator[JobDone]:
        """Runs the jobs, each in `folder/<digest>`, and yields each when it has ended, whatever the order.

        A job whose folder already holds a whole result is not run again. A job that crashes, is killed or runs
        past its time limit comes back with `failure` set; it never raises. Closing the iterator stops the
        running jobs and everything they started.
        """
        ...

    def evaluate(self, jobs: Sequence[EvaluationJob], folder: Path) -> Iterator[EvaluationDone]:
        """The same for jobs that only evaluate."""
        ...
