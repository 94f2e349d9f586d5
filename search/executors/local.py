"""Runs jobs on this machine, each in a process of its own, as many side by side as the user says."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rewards_generated.children import keep_exit_codes
from search.executors.environment import job_environment
from search.executors.gpus import least_busy, visible_gpus
from search.executors.job_process import TimeLimits, ended_job, require_limits, start_job, steps_done, stop_job
from trainer.jobs.base import Done, Job, Result
from trainer.jobs.folder import kept_result
from trainer.jobs.registry import KINDS

POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    folder: Path
    started: float
    gpu: str | None
    whole: bool
    """Nothing of it was done before."""


class LocalExecutor:
    """Implements `search.executors.base.Executor` with one subprocess per job.

    With several GPUs each process sees one of them, the one with the fewest jobs. A job sees none of the driver's
    environment beyond an allow-list, and it ends when the driver ends, however that happens.
    """

    name = "local"

    def __init__(self, parallel_jobs: int = 1, job_timeout_seconds: float | None = None) -> None:
        """`job_timeout_seconds`: wall-clock limit of one training run, or of another job; None: training is
        stopped if it hangs (`TimeLimits`). Raises UserError for values below 1."""
        require_limits(parallel_jobs, job_timeout_seconds)
        self.parallel_jobs = parallel_jobs
        self._limits = TimeLimits(job_timeout_seconds)
        self._running: dict[str, _Running] = {}

    def steps_in_progress(self) -> int:
        """GRPO steps done by the jobs that run now, those of every run in them."""
        running = list(self._running.copy().values())
        return sum(steps_done(state.folder) * state.job.runs for state in running)

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        keep_exit_codes()
        # By digest: of two equal jobs the second finds the result of the first.
        waiting = list(jobs)
        gpus = {device: visible_gpus(device) for device in {job.hardware.device for job in waiting}}
        running = self._running
        # A child is told of the death of the thread that started it, so one thread that lives as long as the
        # jobs do starts them all.
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="job-spawner") as spawner:
            try:
                while waiting or running:
                    for job in [job for job in waiting if job.digest not in running]:
                        place = folder / job.digest
                        kept = kept_result(place, job.digest, KINDS[job.kind].result)
                        if kept is not None:
                            waiting.remove(job)
                            yield Done(job, kept, place)
                        elif len(running) < self.parallel_jobs and job.digest not in running:
                            waiting.remove(job)
                            gpu = least_busy(gpus[job.hardware.device], [state.gpu for state in running.values()])
                            running[job.digest] = spawner.submit(_start, job, place, gpu).result()
                    ended = [state for state in running.values() if self._ended(state)]
                    for state in ended:
                        del running[state.job.digest]
                        yield Done(state.job, self._result(state), state.folder)
                    if not ended and running:
                        time.sleep(POLL_SECONDS)
            finally:
                for state in running.values():
                    stop_job(state.process)
                running.clear()

    def _ended(self, state: _Running) -> bool:
        if state.process.poll() is not None:
            return True
        limit = self._limits.of(state.job)
        return limit is not None and time.monotonic() - state.started > limit

    def _result(self, state: _Running) -> Result:
        code = state.process.poll()
        # Whatever a job leaves behind goes with it, whether it ended by itself or not.
        stop_job(state.process)
        result = ended_job(state.job, state.folder, code, self._limits.of(state.job))
        if state.whole and result.failure is None:
            self._limits.learn(state.job, time.monotonic() - state.started)
        return result


def _start(job: Job, folder: Path, gpu: str | None) -> _Running:
    whole = not folder.exists()
    process = start_job(job, folder, job_environment(job.hardware, gpu))
    return _Running(job, process, folder, time.monotonic(), gpu, whole)
