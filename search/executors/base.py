"""The contract of executors: jobs in, results out as they finish, whatever kind of job they are; and those by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from rewards_generated.loading import construct, load_object
from trainer.jobs.base import Done, Job


class Capacity(NamedTuple):
    """What an executor's machines have for jobs of some hardware."""

    jobs: int
    """At the same time."""
    device: Literal["cpu", "cuda"]
    memory: int
    """Bytes that each of them has where the least is free: of the device."""


class Executor(Protocol):
    """Built with `parallel_jobs`, `job_timeout_seconds` and its options from the configuration.

    One whose jobs run on other machines has `elsewhere = True`, is built with `parallel_jobs` None where the
    configuration says `auto`, and has `capacity(hardware) -> Capacity`. One that also has `steps_in_progress() -> int`,
    the GRPO steps done by the jobs that run now, is asked by the live view.
    """

    name: str

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        """Runs the jobs, each in `folder/<its digest>`, and yields each once, when it has ended, whatever the order.

        A job whose folder already holds a whole result (`trainer.jobs.folder.kept_result`) is not run again; one that
        was interrupted goes on from what lies there. A job that crashes, is killed or runs past its time limit comes
        back with a failure of the owner `process`, or `candidate` for the limit; it never raises. Closing the iterator
        stops the running jobs and everything they started.
        """
        ...


BUILT_IN_EXECUTORS = {
    "local": "search.executors.local:LocalExecutor",
    "ray": "search.executors.ray:RayExecutor",
    "slurm": "search.executors.slurm:SlurmExecutor",
}


def executor_class(name: str) -> type[Executor]:
    """Raises UserError as `build_executor` does."""
    found: type[Executor] = load_object(name, BUILT_IN_EXECUTORS, "executor.name", "executor", method="run")
    return found


def build_executor(name: str, **options: Any) -> Executor:
    """The executor, constructed with the options.

    A name of the form `package.module:Class` is imported, from the working folder too. Raises UserError for an
    unknown name, a class that cannot be imported, or options that it does not take.
    """
    executor: Executor = construct(executor_class(name), options, "executor.options", f"executor {name!r}")
    return executor
