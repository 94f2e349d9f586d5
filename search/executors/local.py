"""Runs jobs on this machine, each in a process of its own, as many side by side as the user says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from rewards_generated.errors import UserError
from search.executors.base import EvaluationDone, JobDone, PackDone, SftDone, SuitesDone
from search.executors.environment import job_environment
from search.executors.gpus import least_busy, visible_gpus
from search.executors.process_tree import kill_tree
from trainer.jobs.evaluate import EvaluationJob, EvaluationResult
from trainer.jobs.folder import JOB_FILE, LOG_FILE, MEMBERS, RESULT_FILE, STEPS_FILE, write_atomically
from trainer.jobs.pack import PackJob, PackResult
from trainer.jobs.process import RESULTS
from trainer.jobs.process import AnyJob as SomeJob
from trainer.jobs.sft import SftJob, SftJobResult
from trainer.jobs.suites import SuitesJob, SuitesResult
from trainer.jobs.train import Hardware, TrainJob, TrainResult

AnyJob = TypeVar("AnyJob", TrainJob, EvaluationJob, PackJob, SftJob, SuitesJob)
AnyResult = TypeVar("AnyResult", TrainResult, EvaluationResult, PackResult, SftJobResult, SuitesResult)

POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Running(Generic[AnyJob]):
    job: AnyJob
    process: subprocess.Popen[bytes]
    folder: Path
    started: float
    gpu: str | None


class LocalExecutor:
    """Implements `search.executors.base.PackExecutor` and `PipelineExecutor` with one subprocess per job or pack.

    With several GPUs each process sees one of them, the one with the fewest jobs.

    A job sees none of the driver's environment beyond an allow-list, and it ends when the driver ends, however
    that happens.
    """

    name = "local"

    def __init__(self, parallel_jobs: int = 1, job_timeout_seconds: float | None = None) -> None:
        """`job_timeout_seconds`: wall-clock limit of one job; None: no limit. Raises UserError for values below 1."""
        if parallel_jobs < 1:
            raise UserError(f"executor.parallel_jobs = {parallel_jobs} must be at least 1")
        if job_timeout_seconds is not None and job_timeout_seconds < 1:
            raise UserError(f"executor.job_timeout_seconds = {job_timeout_seconds} must be at least 1, or null")
        self.parallel_jobs = parallel_jobs
        self.job_timeout_seconds = job_timeout_seconds
        self._training: dict[Path, int] = {}

    def steps_in_progress(self) -> int:
        """GRPO steps done by the jobs that run now, those of every member of a pack."""
        return sum(_steps(folder) * members for folder, members in self._training.copy().items())

    def run(self, jobs: Sequence[TrainJob], folder: Path) -> Iterator[JobDone]:
        """Runs the jobs, each in `folder/<digest>`, and yields each when it has ended."""
        for job, result, place in self._run(jobs, TrainResult, folder):
            yield JobDone(job, result, place)

    def evaluate(self, jobs: Sequence[EvaluationJob], folder: Path) -> Iterator[EvaluationDone]:
        """Runs the jobs, each in `folder/<digest>`, and yields each when it has ended."""
        for job, result, place in self._run(jobs, EvaluationResult, folder):
            yield EvaluationDone(job, result, place)

    def run_packs(self, jobs: Sequence[PackJob], folder: Path) -> Iterator[PackDone]:
        """Runs the packs, each in `folder/<digest>`, and yields each when it has ended, its members in their places."""
        for job, result, place in self._run(jobs, PackResult, folder):
            # What a pack with a stop leaves is not yet the result of its members' jobs: it stays where it is.
            for member in job.members if job.stop is None else ():
                left = place / MEMBERS / member.digest
                if left.is_dir():
                    own = folder / member.digest
                    shutil.rmtree(own, ignore_errors=True)
                    left.rename(own)
            yield PackDone(job, result, place)

    def fine_tune(self, jobs: Sequence[SftJob], folder: Path) -> Iterator[SftDone]:
        """Runs the jobs, each in `folder/<digest>`, and yields each when it has ended."""
        for job, result, place in self._run(jobs, SftJobResult, folder):
            yield SftDone(job, result, place)

    def evaluate_suites(self, jobs: Sequence[SuitesJob], folder: Path) -> Iterator[SuitesDone]:
        """Runs the jobs, each in `folder/<digest>`, and yields each when it has ended."""
        for job, result, place in self._run(jobs, SuitesResult, folder):
            yield SuitesDone(job, result, place)

    def run_at(self, job: AnyJob, place: Path) -> Any:
        """The result of one job that runs in the folder `place`, unless its whole result lies there already."""
        result_type: Any = RESULTS[job.kind]
        ((_, result, _),) = self._run([job], result_type, place.parent, lambda _: place.name)
        return result

    def _run(
        self,
        jobs: Sequence[AnyJob],
        result_type: type[AnyResult],
        folder: Path,
        name: Callable[[AnyJob], str] = lambda job: job.digest,
    ) -> Iterator[tuple[AnyJob, AnyResult, Path]]:
        # By digest: of two equal jobs the second finds the result of the first.
        waiting = list(jobs)
        gpus = {device: visible_gpus(device) for device in {_hardware(job).device for job in waiting}}
        running: dict[str, _Running[AnyJob]] = {}
        # A child is told of the death of the thread that started it, so one thread that lives as long as the
        # jobs do starts them all.
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="job-spawner") as spawner:
            try:
                while waiting or running:
                    for job in [job for job in waiting if job.digest not in running]:
                        place = folder / name(job)
                        kept = whole_result(place, job.digest, result_type)
                        if kept is not None:
                            waiting.remove(job)
                            yield job, kept, place
                        elif len(running) < self.parallel_jobs and job.digest not in running:
                            waiting.remove(job)
                            busy = [state.gpu for state in running.values()]
                            gpu = least_busy(gpus[_hardware(job).device], busy)
                            running[job.digest] = spawner.submit(_start, job, place, gpu).result()
                            if not isinstance(job, EvaluationJob):
                                self._training[place] = len(job.members) if isinstance(job, PackJob) else 1
                    ended = [state for state in running.values() if self._ended(state)]
                    for state in ended:
                        del running[state.job.digest]
                        self._training.pop(state.folder, None)
                        yield state.job, self._result(state, result_type), state.folder
                    if not ended and running:
                        time.sleep(POLL_SECONDS)
            finally:
                for state in running.values():
                    kill_tree(state.process)
                    self._training.pop(state.folder, None)

    def _ended(self, state: _Running[Any]) -> bool:
        if state.process.poll() is not None:
            return True
        limit = self._limit(state.job)
        return limit is not None and time.monotonic() - state.started > limit

    def _limit(self, job: SomeJob) -> float | None:
        """Seconds that the job may take: a pack, as much as its members one after the other."""
        if self.job_timeout_seconds is None:
            return None
        return self.job_timeout_seconds * (len(job.members) if isinstance(job, PackJob) else 1)

    def _result(self, state: _Running[AnyJob], result_type: type[AnyResult]) -> AnyResult:
        digest = state.job.digest
        code = state.process.poll()
        # Whatever a job leaves behind goes with it, whether it ended by itself or not.
        kill_tree(state.process)
        if code is None:
            failure = f"the job ran past its limit of {self._limit(state.job):g} seconds and was stopped"
            return result_type(digest=digest, failure=failure)
        result = _read_result(state.folder, digest, result_type)
        if result is not None:
            return result
        if code == 0 and (state.folder / RESULT_FILE).is_file():
            raise UserError(
                f"the result in {state.folder} cannot be read by this process; reward-search was changed while the "
                "search ran, or the disk is full: continue with --resume"
            )
        how = f"was killed by {Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        last = _last_line(state.folder / LOG_FILE)
        failure = f"the job {how} and left no result; its log ends with: {last}"
        return result_type(digest=digest, failure=failure, lost=True)


def whole_result(folder: Path, digest: str, result_type: type[AnyResult]) -> AnyResult | None:
    """The result that an earlier run left, if the job need not run again.

    A failure that says nothing about the job (a model that could not be found, say) is not taken over.
    """
    result = _read_result(folder, digest, result_type)
    if isinstance(result, TrainResult):
        lost = result.adapter is not None and not (folder / result.adapter).is_dir()
        about_job = result.failure is None or bool(result.rewards)
        return None if lost or not about_job else result
    if isinstance(result, SftJobResult) and result.policy is not None and not (folder / result.policy).is_dir():
        return None
    return result if result is not None and result.failure is None else None


def _read_result(folder: Path, digest: str, result_type: type[AnyResult]) -> AnyResult | None:
    try:
        result = result_type.model_validate_json((folder / RESULT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None
    return result if result.digest == digest else None


def _hardware(job: SomeJob) -> Hardware:
    return job.members[0].hardware if isinstance(job, PackJob) else job.hardware


def _start(job: AnyJob, folder: Path, gpu: str | None) -> _Running[AnyJob]:
    folder.mkdir(parents=True, exist_ok=True)
    for left in (RESULT_FILE, STEPS_FILE):
        (folder / left).unlink(missing_ok=True)
    write_atomically(folder / JOB_FILE, job)
    with (folder / LOG_FILE).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer.jobs.process", str(folder), "--driver", str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=job_environment(_hardware(job), gpu),
            start_new_session=True,
        )
    return _Running(job, process, folder, time.monotonic(), gpu)


def _steps(folder: Path) -> int:
    """Steps that the job in the folder has done; 0 before the first."""
    try:
        return int((folder / STEPS_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return "(no log)"
    return next((line.strip()[:500] for line in reversed(lines) if line.strip()), "(nothing)")
