"""Runs jobs on this machine, each in a process of its own, as many side by side as the user says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from os import strerror
from pathlib import Path

import psutil

from rewards_generated.errors import SCARCE, UserError
from search.executors.environment import job_environment
from search.executors.gpus import least_busy, visible_gpus
from trainer.jobs.base import Done, FailureOwner, Job, Result
from trainer.jobs.folder import (
    JOB_FILE,
    LOG_FILE,
    RESULT_FILE,
    STEPS_FILE,
    kept_result,
    read_result,
    write_model,
)
from trainer.jobs.registry import KINDS

POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    folder: Path
    started: float
    gpu: str | None


class LocalExecutor:
    """Implements `search.executors.base.Executor` with one subprocess per job.

    With several GPUs each process sees one of them, the one with the fewest jobs. A job sees none of the driver's
    environment beyond an allow-list, and it ends when the driver ends, however that happens.
    """

    name = "local"

    def __init__(self, parallel_jobs: int = 1, job_timeout_seconds: float | None = None) -> None:
        """`job_timeout_seconds`: wall-clock limit of one training run, or of another job; None: no limit. Raises
        UserError for values below 1."""
        if parallel_jobs < 1:
            raise UserError(f"executor.parallel_jobs = {parallel_jobs} must be at least 1")
        if job_timeout_seconds is not None and job_timeout_seconds < 1:
            raise UserError(f"executor.job_timeout_seconds = {job_timeout_seconds} must be at least 1, or null")
        self.parallel_jobs = parallel_jobs
        self.job_timeout_seconds = job_timeout_seconds
        self._running: dict[str, _Running] = {}

    def steps_in_progress(self) -> int:
        """GRPO steps done by the jobs that run now, those of every run in them."""
        running = list(self._running.copy().values())
        return sum(_steps(state.folder) * state.job.runs for state in running)

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
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
                    _kill_tree(state.process)
                running.clear()

    def _ended(self, state: _Running) -> bool:
        if state.process.poll() is not None:
            return True
        limit = self._limit(state.job)
        return limit is not None and time.monotonic() - state.started > limit

    def _limit(self, job: Job) -> float | None:
        """Seconds that the job may take: several training runs, as much as one after the other."""
        return None if self.job_timeout_seconds is None else self.job_timeout_seconds * job.runs

    def _result(self, state: _Running) -> Result:
        job, kind = state.job, KINDS[state.job.kind].result

        def failed(owner: FailureOwner, why: str) -> Result:
            return kind(digest=job.digest, failure=why, owner=owner)

        code = state.process.poll()
        # Whatever a job leaves behind goes with it, whether it ended by itself or not.
        _kill_tree(state.process)
        if code is None:
            limit = self._limit(job)
            return failed("candidate", f"the job ran past its limit of {limit:g} seconds and was stopped")
        result = read_result(state.folder, job.digest, kind)
        if result is not None:
            return result
        if code == 0 and (state.folder / RESULT_FILE).is_file():
            raise UserError(
                f"the result in {state.folder} cannot be read by this process; reward-search was changed while the "
                "search ran, or the disk is full: continue with --resume"
            )
        last = _last_line(state.folder / LOG_FILE)
        if (scarce := exhausted(last)) is not None:
            raise UserError(f"the job in {state.folder} stopped: {scarce}; see to it and continue with --resume")
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return failed("process", f"the job {how} and left no result; its log ends with: {last}")


def exhausted(last_line: str) -> str | None:
    """What the machine has none left of, by the last line of a job's log: nothing that the job itself is to blame for.
    None where it says nothing of that."""
    return next((strerror(code) for code in SCARCE if strerror(code) in last_line), None)


def _start(job: Job, folder: Path, gpu: str | None) -> _Running:
    folder.mkdir(parents=True, exist_ok=True)
    for left in (RESULT_FILE, STEPS_FILE):
        (folder / left).unlink(missing_ok=True)
    write_model(folder / JOB_FILE, job)
    # -P: what lies in the user's folder must not stand in for this project's packages.
    command = [sys.executable, "-P", "-m", "trainer.jobs.process", str(folder), "--driver", str(os.getpid())]
    with (folder / LOG_FILE).open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=job_environment(job.hardware, gpu),
            start_new_session=True,
        )
    return _Running(job, process, folder, time.monotonic(), gpu)


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kills the leader of a session, its process group, and its descendants in sessions of their own; then reaps it."""
    family: list[psutil.Process] = []
    with suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for descendant in family:
        with suppress(psutil.Error):
            descendant.kill()
    process.wait()


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
