"""What Slurm starts on a node: the process of one job, in the folder that the driver shares with the node, or in one of
the node's own, to which everything comes through a store."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from search.executors.endings import PREEMPTED, Endings
from search.executors.environment import job_environment
from search.executors.job_process import ended_job, seconds_allowed, start_job, stop_job
from search.executors.node import Lost, Order, Refused, carry_out_through_store, unfit
from search.store.parcels import ParcelDamaged
from search.store.url_store import StoreFailed, UrlStore
from trainer.jobs.base import FailureOwner
from trainer.jobs.folder import RESULT_FILE, kept_result, read_result, write_model
from trainer.jobs.registry import KINDS, read_job

LOCK_FILE = "lock"


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


class JobFromStore:
    """Likewise, of a job of which the node has nothing but the order."""

    def __init__(self, order: Order) -> None:
        assert order.store is not None
        self.order = order
        self.digest = KINDS[order.kind].job.model_validate_json(order.job).digest
        self.folder: Path | None = None

    def __call__(self) -> None:
        """Leaves the job's end in the store, if another attempt has not. Raises StoreFailed, which submitit logs."""
        endings = self._endings()
        if (ending := endings.of(self.digest)) is not None and ending.final:
            return
        node = socket.gethostname()
        for event in carry_out_through_store(self.order, node, self._started):
            if isinstance(event, Lost | Refused):
                owner: FailureOwner = "process" if isinstance(event, Lost) else "setup"
                endings.fail(self.digest, node, event.why, owner)

    def checkpoint(self) -> Any:
        """As of `JobOnNode`; what the job has done until now goes into the store, from where it goes on."""
        from submitit.helpers import DelayedSubmission

        self._leave()
        return DelayedSubmission(type(self)(self.order))

    def _leave(self) -> None:
        if self.folder is not None:
            with suppress(ParcelDamaged, StoreFailed, OSError):
                self._endings().keep(self.digest, self.folder, socket.gethostname(), -signal.SIGUSR2)

    def _started(self, folder: Path) -> None:
        self.folder = folder

    def _endings(self) -> Endings:
        assert self.order.store is not None
        return Endings(UrlStore(self.order.store), self.order.search)
