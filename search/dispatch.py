"""Sends jobs to the executor and brings their results back, running again those whose process was lost."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from search.executors.base import EvaluationDone, Executor, JobDone
from trainer.evaluation_job import EvaluationJob
from trainer.job import TrainJob, TrainResult

Done = TypeVar("Done")

ATTEMPTS = 3
"""A job whose process is killed this many times is failed: it may be the job itself that kills it."""


def train(
    executor: Executor, jobs: Sequence[TrainJob], folder: Path, lost: Callable[[TrainJob], None] = lambda job: None
) -> Generator[JobDone, None, None]:
    """Yields every job once, when it has ended for good. `lost` is told of each that has to run again.

    Use it under `contextlib.closing`: closing it stops the running jobs.
    """
    waiting = list(jobs)
    for attempt in range(1, ATTEMPTS + 1):
        if not waiting:
            return
        again: list[TrainJob] = []
        with stopped(executor.run(waiting, folder)) as ended:
            for done in ended:
                if done.result.lost and attempt < ATTEMPTS:
                    again.append(done.job)
                    lost(done.job)
                else:
                    yield done
        waiting = again


def evaluate(executor: Executor, jobs: Sequence[EvaluationJob], folder: Path) -> Generator[EvaluationDone, None, None]:
    """The same for jobs that only evaluate."""
    waiting = list(jobs)
    for attempt in range(1, ATTEMPTS + 1):
        if not waiting:
            return
        again: list[EvaluationJob] = []
        with stopped(executor.evaluate(waiting, folder)) as ended:
            for done in ended:
                if done.result.lost and attempt < ATTEMPTS:
                    again.append(done.job)
                else:
                    yield done
        waiting = again


def unscored(result: TrainResult) -> str | None:
    """What to tell of a run that ended without a score; None if it has one."""
    return None if result.failure is None else f"unscored: {result.failure}"


@contextmanager
def stopped(ended: Iterator[Done]) -> Iterator[Iterator[Done]]:
    """Closes the executor's iterator, which stops its jobs, however the block is left."""
    try:
        yield ended
    finally:
        if (close := getattr(ended, "close", None)) is not None:
            close()
