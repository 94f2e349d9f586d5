"""What Slurm starts on a node: the process of one job, in the folder that the driver shares with the node."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.executors.environment import job_environment
from search.executors.job_process import ended_job, seconds_allowed, start_job, stop_job
from search.executors.node import unfit
from trainer.jobs.folder import RESULT_FILE, kept_result, read_result, write_model
from trainer.jobs.registry import KINDS, read_job

LOCK_FILE = "lock"
PREEMPTED = (-signal.SIGTERM, -signal.SIGUSR2)
"""Exit codes of a process that Slurm told to end, as it tells all of a job: it is preempted, or its time is over."""


class JobOnNode:
    """Pickled by submitit, and called on the node, again after each requeue."""

    def __init__(self, folder: Path, timeout: float | None, wanted: Mapping[str, str]) -> None:
        """`timeout`: seconds of wall-clock of one training run, or of another job, where it runs; None: no limit.
        `wanted`: versions of packages that the node must have."""
        self.folder, self.timeout, self.wanted = folder, timeout, wanted

    def __call__(self) -> None:
        """Leaves the result in the folder. Whoever else was sent to run the same job waits, and then finds it there."""
        with (self.folder / LOCK_FILE).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            job = read_job(self.folder)
            kind, where = KINDS[job.kind].result, f" on node {socket.gethostname()}"
            if kept_result(self.folder, job.digest, kind) is not None:
                return
            if (why := unfit(job, self.wanted)) is not None:
                failure = f"the node {socket.gethostname()} {why}"
                write_model(self.folder / RESULT_FILE, kind(digest=job.digest, failure=failure, owner="setup"))
                return
            limit = seconds_allowed(job, self.timeout)
            process = start_job(job, self.folder, job_environment(job.hardware, os.environ.get("CUDA_VISIBLE_DEVICES")))
            code = None
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                pass
            finally:
                stop_job(process)
            if code in PREEMPTED:
                return  # Slurm has it again, or the driver sees it gone
            result = ended_job(job, self.folder, code, limit, where)
            if read_result(self.folder, job.digest, kind) is None:
                write_model(self.folder / RESULT_FILE, result)

    def checkpoint(self) -> Any:
        """Submitit asks for it when the job is preempted or its time on the node is over: it is queued again, and goes
        on from what lies in the folder."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
