"""A job in a process of its own: started, stopped with all that it started, and told of when it has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from os import strerror
from pathlib import Path
from typing import Any

import psutil

from rewards_generated.errors import SCARCE, UserError
from trainer.jobs.base import Job, Result
from trainer.jobs.folder import JOB_FILE, LOG_FILE, RESULT_FILE, STEPS_FILE, read_result, write_model
from trainer.jobs.registry import KINDS
from trainer.jobs.train import TrainJob

HANGING = 20
HANGING_SECONDS = 3600.0


def start_job(job: Job, folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """The process that runs the job in the folder. It ends with the thread that calls this."""
    describe_job(job, folder)
    # -P: what lies in the user's folder must not stand in for this project's packages.
    command = [sys.executable, "-P", "-m", "trainer.jobs.process", str(folder), "--driver", str(os.getpid())]
    with (folder / LOG_FILE).open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )


def describe_job(job: Job, folder: Path) -> None:
    """Writes down what is to run in the folder, and removes what an earlier attempt said of how it went."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in (RESULT_FILE, STEPS_FILE):
        (folder / left).unlink(missing_ok=True)
    write_model(folder / JOB_FILE, job)


def stop_job(process: subprocess.Popen[bytes]) -> None:
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


def seconds_allowed(job: Job, timeout: float | None) -> float | None:
    """Wall-clock limit of the job; several training runs have as much as one after the other. None: no limit."""
    return None if timeout is None else timeout * job.runs


class TimeLimits:
    """How long jobs may take, wall-clock: `timeout` seconds for a training run, or for another job.

    Without one, training is stopped that takes HANGING times as long as the longest of its like did, but never within
    HANGING_SECONDS; no other job runs code that strangers wrote.
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._longest: dict[Any, float] = {}

    def of(self, job: Job) -> float | None:
        """Seconds; several training runs have as much as one after the other. None: no limit."""
        if self._timeout is not None:
            return seconds_allowed(job, self._timeout)
        longest = self._longest.get(_like(job))
        return None if longest is None else max(HANGING_SECONDS, HANGING * longest) * job.runs

    def learn(self, job: Job, seconds: float) -> None:
        """From a job that came to a good end, and of which nothing was done before it started."""
        if (like := _like(job)) is not None:
            self._longest[like] = max(seconds / job.runs, self._longest.get(like, 0.0))


def _like(job: Job) -> tuple[str, int | None, bool] | None:
    """What training jobs that take about as long, per run, have in common; None for other jobs."""
    return (job.shared.shared_fields, job.stop, bool(job.origins)) if isinstance(job, TrainJob) else None


def require_limits(parallel_jobs: int | None, job_timeout_seconds: float | None) -> None:
    """Raises UserError for values below 1."""
    if parallel_jobs is not None and parallel_jobs < 1:
        raise UserError(f"executor.parallel_jobs = {parallel_jobs} must be at least 1")
    if job_timeout_seconds is not None and job_timeout_seconds < 1:
        raise UserError(f"executor.job_timeout_seconds = {job_timeout_seconds} must be at least 1, or null")


def ended_job(job: Job, folder: Path, code: int | None, limit: float | None, where: str = "") -> Result:
    """What the job came to whose process ended with that exit code; None: it was stopped at its limit in seconds.

    `where`: such as ` on node 10.0.0.7`. Raises UserError where the machine has no room left, or the result is of
    another version of this program.
    """
    kind = KINDS[job.kind].result
    if code is None:
        why = f"the job ran past its limit of {limit:g} seconds and was stopped"
        return kind(digest=job.digest, failure=why, owner="candidate")
    result = read_result(folder, job.digest, kind)
    if result is not None:
        return result
    if code == 0:
        require_readable(folder)
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return lost_job(job, folder, how, where)


def require_readable(folder: Path) -> None:
    """Raises UserError for a result that is there, and that `read_result` does not take."""
    if (folder / RESULT_FILE).is_file():
        raise UserError(
            f"the result in {folder} cannot be read by this process; reward-search was changed while the "
            "search ran, or the disk is full: continue with --resume"
        )


def lost_job(job: Job, folder: Path, how: str, where: str = "") -> Result:
    """What the job came to that left no result. `how`: what became of it, after `the job`. Raises UserError where the
    machine has no room left."""
    last = _last_line(folder / LOG_FILE)
    if (scarce := exhausted(last)) is not None:
        raise UserError(f"the job in {folder} stopped{where}: {scarce}; see to it and continue with --resume")
    why = f"the job {how}{where} and left no result; its log ends with: {last}"
    return KINDS[job.kind].result(digest=job.digest, failure=why, owner="process")


def exhausted(last_line: str) -> str | None:
    """What the machine has none left of, by the last line of a job's log: nothing that the job itself is to blame for.
    None where it says nothing of that."""
    return next((strerror(code) for code in SCARCE if strerror(code) in last_line), None)


def steps_done(folder: Path) -> int:
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
