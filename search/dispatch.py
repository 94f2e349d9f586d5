"""Sends jobs to the executor and brings their results back, running again those whose process was lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from search.executors.base import EvaluationDone, Executor, JobDone
from trainer.evaluation_job import EvaluationJob
from trainer.job import TrainJob

ATTEMPTS = 3
"""A job whose process is killed this many times is failed: it may be the job itself that kills it."""


def train(
    executor: Executor, jobs: Sequence[TrainJob], folder: Path, lost: Callable[[TrainJob], None] = lambda job: None
) -> Iterator[JobDone]:
    """Yields every job once, when it has ended for good. `lost` is told of each that has to run again.

    Use it under `contextlib.closing`: closing it stops the running jobs.
    """
    waiting = list(jobs)
    for attempt in range(1, ATTEMPTS + 1):
        again: list[TrainJob] = []
        with closing(executor.run(waiting, folder)) as ended:  # type: ignore[type-var]
            for done in ended:
                if done.result.lost and attempt < ATTEMPTS:
                    again.append(done.job)
                    lost(done.job)
                else:
                    yield done
        waiting = again
        if not waiting:
            return


def evaluate(executor: Executor, jobs: Sequence[EvaluationJob], folder: Path) -> Iterator[EvaluationDone]:
    """The same for jobs that only evaluate."""
    waiting = list(jobs)
    for attempt in range(1, ATTEMPTS + 1):
        again: list[EvaluationJob] = []
        with closing(executor.evaluate(waiting, folder)) as ended:  # type: ignore[type-var]
            for done in ended:
                if done.result.lost and attempt < ATTEMPTS:
                    again.append(done.job)
                else:
                    yield done
        waiting = again
        if not waiting:
            return
