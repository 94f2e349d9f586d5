"""Sends jobs to the executor and brings their results back, running again those whose process was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rewards_generated.errors import UserError
from search.executors.base import Executor
from trainer.jobs.base import Done, Job, Result

ATTEMPTS = 3
"""A job whose process is killed this many times is failed: it may be the job itself that kills it."""


def run_jobs(
    executor: Executor,
    jobs: Sequence[Job],
    folder: Path,
    lost: Callable[[Job], None] = lambda job: None,
    parts: Callable[[Done, int], Sequence[Job]] = lambda done, losses: (),
) -> Generator[Done, None, None]:
    """Yields every job once, when it has ended for good. `lost` is told of each that has to run again. `parts`: the
    jobs that run in place of one that has ended, after so many losses of its process. Raises UserError where what jobs
    sample with cannot be used: nothing is recorded of them, and the search goes on when it is resumed.

    Use it under `contextlib.closing`: closing it stops the running jobs.
    """
    waiting = list(jobs)
    losses: Counter[str] = Counter()
    while waiting:
        again: list[Job] = []
        with _stopped(executor.run(waiting, folder)) as ended:
            for done in ended:
                digest = done.job.digest
                losses[digest] += done.result.lost
                if done.result.owner == "engine":
                    raise UserError(f"{done.result.failure}; see to it and continue with --resume")
                if instead := parts(done, losses[digest]):
                    again += instead
                elif done.result.lost and losses[digest] < ATTEMPTS:
                    again.append(done.job)
                    lost(done.job)
                else:
                    yield done
        waiting = again


def unscored(result: Result) -> str | None:
    """What to tell of a run that ended without a score; None if it has one."""
    return None if result.failure is None else f"unscored: {result.failure}"


@contextmanager
def _stopped(ended: Iterator[Done]) -> Iterator[Iterator[Done]]:
    """Closes the executor's iterator, which stops its jobs, however the block is left."""
    try:
        yield ended
    finally:
        if (close := getattr(ended, "close", None)) is not None:
            close()
