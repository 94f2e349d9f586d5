"""Sends jobs to the executor and brings their results back, running again those whose process was lost."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from search.executors.base import EvaluationDone, Executor, JobDone, PipelineExecutor, SftDone, SuitesDone
from trainer.jobs.evaluate import EvaluationJob
from trainer.jobs.sft import SftJob
from trainer.jobs.suites import SuitesJob
from trainer.jobs.train import TrainJob, TrainResult

Done = TypeVar("Done")

ATTEMPTS = 3
"""A job whose process is killed this many times is failed: it may be the job itself that kills it."""


def train(
    executor: Executor, jobs: Sequence[TrainJob], folder: Path, lost: Callable[[TrainJob], None] = lambda job: None
) -> Generator[JobDone, None, None]:
    """Yields every job once, when it has ended for good. `lost` is told of each that has to run again.

    Use it under `contextlib.closing`: closing it stops the running jobs.
    """
    yield from _settled(executor.run, jobs, folder, lost)


def evaluate(executor: Executor, jobs: Sequence[EvaluationJob], folder: Path) -> Generator[EvaluationDone, None, None]:
    """The same for jobs that only evaluate."""
    yield from _settled(executor.evaluate, jobs, folder)


def fine_tune(executor: PipelineExecutor, jobs: Sequence[SftJob], folder: Path) -> Generator[SftDone, None, None]:
    """The same for supervised fine-tuning."""
    yield from _settled(executor.fine_tune, jobs, folder)


def evaluate_suites(
    executor: PipelineExecutor, jobs: Sequence[SuitesJob], folder: Path
) -> Generator[SuitesDone, None, None]:
    """The same for evaluation on suites."""
    yield from _settled(executor.evaluate_suites, jobs, folder)


def _settled(
    send: Callable[[Sequence[Any], Path], Iterator[Any]],
    jobs: Sequence[Any],
    folder: Path,
    lost: Callable[[Any], None] = lambda job: None,
) -> Generator[Any, None, None]:
    waiting = list(jobs)
    for attempt in range(1, ATTEMPTS + 1):
        if not waiting:
            return
        again: list[Any] = []
        with stopped(send(waiting, folder)) as ended:
            for done in ended:
                if done.result.lost and attempt < ATTEMPTS:
                    again.append(done.job)
                    lost(done.job)
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
