"""The contract of executors: jobs in, results out as they finish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from trainer.jobs.evaluate import EvaluationJob, EvaluationResult
from trainer.jobs.pack import PackJob, PackResult
from trainer.jobs.sft import SftJob, SftJobResult
from trainer.jobs.suites import SuitesJob, SuitesResult
from trainer.jobs.train import TrainJob, TrainResult


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


@dataclass(frozen=True, slots=True)
class PackDone:
    job: PackJob
    result: PackResult
    folder: Path
    """Where the files of the pack lie; its members' lie where those of jobs by themselves would."""


@dataclass(frozen=True, slots=True)
class SftDone:
    job: SftJob
    result: SftJobResult
    folder: Path
    """Where the job's files lie: policy, adapter, log, result.json."""


@dataclass(frozen=True, slots=True)
class SuitesDone:
    job: SuitesJob
    result: SuitesResult
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


@runtime_checkable
class WatchableExecutor(Protocol):
    """An executor that can tell how far its running jobs have come."""

    def steps_in_progress(self) -> int:
        """GRPO steps done by the jobs that run now, those of every member of a pack."""
        ...


@runtime_checkable
class PackExecutor(Executor, Protocol):
    """An executor that can run several training jobs as one process."""

    def run_packs(self, jobs: Sequence[PackJob], folder: Path) -> Iterator[PackDone]:
        """The same for packs: each runs in `folder/<digest>`, and a member's adapter and result come to lie in
        `folder/<the member's digest>`; those of a pack with a `stop` stay in the pack's folder, where the packs find
        them that go on from it. A pack for which memory runs out comes back with `too_large`."""
        ...


@runtime_checkable
class PipelineExecutor(Executor, Protocol):
    """An executor that can run the other stages of a pipeline: supervised fine-tuning, and evaluation on suites."""

    def fine_tune(self, jobs: Sequence[SftJob], folder: Path) -> Iterator[SftDone]:
        """As `run`. A job that was interrupted goes on from its last checkpoint."""
        ...

    def evaluate_suites(self, jobs: Sequence[SuitesJob], folder: Path) -> Iterator[SuitesDone]:
        """As `run`, for jobs that only evaluate."""
        ...
