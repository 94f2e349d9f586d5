"""Runs jobs under Slurm, submitted through submitit, in folders that driver and nodes see or through a store."""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import psutil

from rewards_generated.children import PASSED_ON
from rewards_generated.errors import UserError, nearest
from search.executors.base import Capacity
from search.executors.hand_over import HandOver, SharedFolder, ThroughStore
from search.executors.job_process import require_limits, steps_done
from search.executors.on_node import JobFromStore, JobOnNode
from search.store.base import Sender
from search.store.url_store import UrlStore
from trainer.jobs.base import Done, Job
from trainer.jobs.settings import Hardware

Cluster = Literal["slurm", "local"]
SUBMITIT_FOLDER = "submitit"
"""Beside the folders of the jobs: submitit's scripts and logs."""
ARRAY = 1000
"""Jobs of an array at most: Slurm's own default."""
GONE = 3
"""Polls in a row that must not find a job, and not its result either: a shared disk may show it late."""
SIGNAL_SECONDS = 60
"""Before its time is over a job is told, so that it can be queued again."""
OURS = ("array", "cpus-per-task", "error", "export", "gpus-per-node", "mem", "open-mode", "output", "requeue", "signal")


@dataclass(slots=True)
class _Running:
    job: Job
    folder: Path
    number: str
    missed: int = 0


class SlurmExecutor:
    """Implements `search.executors.base.Executor` with arrays of Slurm jobs.

    A driver that is killed leaves them in the queue; one that resumes takes the results that are there, and waits for
    what still runs or is queued. A node sees none of the driver's environment beyond an allow-list.
    """

    name = "slurm"
    elsewhere = True
    on_node = JobOnNode
    from_store = JobFromStore

    def __init__(
        self,
        parallel_jobs: int | None = None,
        job_timeout_seconds: float | None = None,
        cluster: Cluster = "slurm",
        partition: str | None = None,
        time_minutes: int = 1440,
        memory_gib: float | None = None,
        gpus_per_job: int | None = None,
        gpu_memory_gib: float | None = None,
        requeues: int = 3,
        sbatch: dict[str, Any] | None = None,
        poll_seconds: float = 5.0,
        store: str | None = None,
        node_folder: str | None = None,
        submission_folder: str | None = None,
    ) -> None:
        """`parallel_jobs`: of an array at the same time; None: as many as Slurm lets run. `job_timeout_seconds`:
        wall-clock on the node of one training run, or of another job. `cluster`: `local` runs submitit's executor on
        this machine, for tests. `time_minutes`: of a job before it is queued again, so often as `requeues` says.
        `memory_gib`: of a job; None: the partition's default. `gpus_per_job`: None, one where hardware.device is
        `cuda`, else none. `gpu_memory_gib`: that a GPU has, by which packs are planned. `sbatch`: further parameters,
        by their long names. `store`: URL of a store through which inputs and results travel
        (`search.store.url_store`); None: nodes see the driver's folders. `node_folder`: with a store, on every node,
        for what jobs need and leave; None: one in its folder for temporary files. `submission_folder`: for submitit's
        scripts and logs, which every node has to see; None: beside the jobs. Raises UserError for what cannot be.
        """
        require_limits(parallel_jobs, job_timeout_seconds)
        if cluster not in get_args(Cluster):
            raise UserError(f"executor.options.cluster = {cluster!r}: {nearest(str(cluster), get_args(Cluster))}")
        numbers: tuple[tuple[str, float | None, float], ...] = (
            ("time_minutes", time_minutes, 2),
            ("memory_gib", memory_gib, 0.1),
            ("gpus_per_job", gpus_per_job, 0),
            ("gpu_memory_gib", gpu_memory_gib, 0.1),
            ("requeues", requeues, 0),
            ("poll_seconds", poll_seconds, 0.01),
        )
        for name, value, least in numbers:
            if value is not None and value < least:
                raise UserError(f"executor.options.{name} = {value} must be at least {least:g}")
        further = {name.replace("_", "-"): value for name, value in (sbatch or {}).items()}
        if taken := sorted(further.keys() & {*OURS}):
            raise UserError(
                f"executor.options.sbatch names {taken[0]!r}, which this executor sets itself; leave it out, or use "
                "partition, time_minutes, memory_gib, gpus_per_job or parallel_jobs"
            )
        if node_folder is not None and store is None:
            raise UserError(
                "executor.options.node_folder is for jobs that come through a store: set executor.options.store too"
            )
        if find_spec("submitit") is None:
            raise UserError("executor.name = 'slurm' needs the package submitit; install 'reward-search[slurm]'")
        if cluster == "slurm" and (missing := [name for name in ("sbatch", "squeue") if shutil.which(name) is None]):
            raise UserError(
                f"executor.name = 'slurm': there is no `{missing[0]}` on this machine; run the search where jobs can "
                "be submitted, or set executor.options.cluster to local to try it out"
            )
        self.parallel_jobs, self.job_timeout_seconds = parallel_jobs, job_timeout_seconds
        self.cluster: Cluster = cluster
        self.partition, self.time_minutes, self.memory_gib = partition, time_minutes, memory_gib
        self.gpu_memory_gib = gpu_memory_gib
        self.gpus_per_job, self.requeues, self.poll_seconds, self.sbatch = gpus_per_job, requeues, poll_seconds, further
        self._queue: _Queue = _SlurmQueue() if cluster == "slurm" else _LocalQueue()
        self._running: dict[str, _Running] = {}
        self.node_folder, self.submission_folder = node_folder, submission_folder
        self._store = None if store is None else UrlStore(store)
        if self._store is not None:
            self._store.require()
            self._sender = Sender(self._store)
        self._hand_over: HandOver

    def steps_in_progress(self) -> int:
        """GRPO steps done by the jobs that run now, those of every run in them."""
        running = list(self._running.copy().values())
        return sum(steps_done(state.folder) * state.job.runs for state in running)

    def capacity(self, hardware: Hardware) -> Capacity:
        """As the options say: no node can be asked before jobs run. Raises UserError where they do not say how much
        memory a job has."""
        device: Literal["cpu", "cuda"] = "cuda" if self._gpus(hardware) else "cpu"
        option, memory = (
            ("gpu_memory_gib", self.gpu_memory_gib) if device == "cuda" else ("memory_gib", self.memory_gib)
        )
        if memory is None:
            raise UserError(
                f"executor.pack = auto plans by memory, which under Slurm executor.options.{option} has to say; set "
                "it, or set executor.pack to a number"
            )
        return Capacity(self.parallel_jobs or ARRAY, device, int(memory * 2**30))

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        same: dict[str, list[Job]] = {}
        for job in jobs:
            same.setdefault(job.digest, []).append(job)
        kept, fresh, alive = [], [], self._queue.alive()
        running = self._running
        hand_over = self._hand_over = self._new_hand_over(folder)
        try:
            for digest, [job, *_] in same.items():
                place = folder / digest
                if (result := hand_over.kept(job)) is not None:
                    hand_over.forget_submitted(digest)
                    kept.append((digest, result))
                elif (number := self._submitted(digest)) is not None and (alive is None or number in alive):
                    running[digest] = _Running(job, place, number)
                else:
                    fresh.append(job)
            fresh = self._submit(fresh, folder)
            for digest, result in kept:
                yield from (Done(job, result, folder / digest) for job in same[digest])
            while running:
                alive, ended = self._queue.alive(), []
                found = hand_over.ended([state.job for state in running.values()])
                for state in running.values():
                    result = found.get(state.job.digest)
                    state.missed = 0 if alive is None or state.number in alive else state.missed + 1
                    if result is not None or state.missed >= GONE:
                        gone = f"left the queue (it was number {state.number})"
                        ended.append((state, result or hand_over.lost(state.job, gone)))
                for state, result in ended:
                    del running[state.job.digest]
                    hand_over.forget_submitted(state.job.digest)
                    yield from (Done(job, result, state.folder) for job in same[state.job.digest])
                fresh = self._submit(fresh, folder)
                if not ended:
                    time.sleep(self.poll_seconds)
        finally:
            left = list(running.values())
            running.clear()
            if self._store is not None:
                self._sender.keep_lasting()
            if left:
                self._queue.cancel([state.number for state in left])
                for state in left:
                    hand_over.forget_submitted(state.job.digest)

    def _new_hand_over(self, folder: Path) -> HandOver:
        if self._store is None:
            return SharedFolder(folder, self.on_node, self.job_timeout_seconds)
        return ThroughStore(
            self._store, self._sender, folder, self.from_store, self.job_timeout_seconds, self.node_folder
        )

    def _submitted(self, digest: str) -> str | None:
        """The number under which the job was submitted to this cluster, if it was and nobody has taken its result."""
        with suppress(ValueError, KeyError):
            found = json.loads(self._hand_over.submitted(digest) or b"{}")
            if found["cluster"] == self.cluster:
                return str(found["number"])
        return None

    def _submit(self, jobs: Sequence[Job], folder: Path) -> list[Job]:
        """All that may go on; returns the others. Slurm itself holds back what is too much."""
        free = len(jobs) if self.cluster == "slurm" else max(0, (self.parallel_jobs or 1) - len(self._running))
        groups: dict[tuple[int, int], list[Job]] = {}
        for job in jobs[:free]:
            groups.setdefault((job.hardware.threads, self._gpus(job.hardware)), []).append(job)
        for (threads, gpus), group in groups.items():
            for start in range(0, len(group), ARRAY):
                self._submit_array(group[start : start + ARRAY], folder, threads, gpus)
        return list(jobs[free:])

    def _gpus(self, hardware: Hardware) -> int:
        return int(hardware.device == "cuda") if self.gpus_per_job is None else self.gpus_per_job

    def _submit_array(self, jobs: Sequence[Job], folder: Path, threads: int, gpus: int) -> None:
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        calls = [self._hand_over.on_node(job, gpus) for job in jobs]
        scripts = Path(self.submission_folder).expanduser() if self.submission_folder else folder / SUBMITIT_FOLDER
        executor = self._submitit(scripts.absolute(), threads, gpus)
        try:
            with executor.batch():
                submitted = [executor.submit(call) for call in calls]
        except (FailedJobError, FailedSubmissionError, OSError) as error:
            reason = " ".join(str(error).split())[-300:]
            raise UserError(f"Slurm does not take the jobs; see executor.options: {reason}") from None
        for job, handle in zip(jobs, submitted, strict=True):
            number = self._queue.number(handle.job_id)
            self._hand_over.note_submitted(job.digest, json.dumps({"cluster": self.cluster, "number": number}))
            self._running[job.digest] = _Running(job, folder / job.digest, number)

    def _submitit(self, folder: Path, threads: int, gpus: int) -> Any:
        import submitit

        # -P: what lies in the folder of the driver must not stand in for this project's packages.
        known: dict[str, Any] = {"max_num_timeout": self.requeues, "python": f"{shlex.quote(sys.executable)} -P"}
        common = {"setup": _exports(), "stderr_to_stdout": True, "signal_delay_s": SIGNAL_SECONDS}
        if self.cluster == "local":
            local = submitit.LocalExecutor(folder, **known)
            local.update_parameters(timeout_min=self.time_minutes, gpus_per_node=gpus, **common)
            return local
        executor = submitit.SlurmExecutor(folder, **known)
        wanted = {
            "partition": self.partition,
            "mem": None if self.memory_gib is None else f"{math.ceil(1024 * self.memory_gib)}M",
            "gpus_per_node": gpus or None,
        }
        executor.update_parameters(
            job_name="reward-search",
            time=self.time_minutes,
            cpus_per_task=threads,
            array_parallelism=self.parallel_jobs or ARRAY,
            # What the script has set is for the step too, and the step has the job's processors.
            srun_args=["--export=ALL", f"--cpus-per-task={threads}"],
            additional_parameters={"export": "NONE", "requeue": True, **self.sbatch},
            **{name: value for name, value in wanted.items() if value is not None},
            **common,
        )
        return executor


def _exports() -> list[str]:
    """Lines for the script that starts on the node: of the driver's environment what a job may see, less what belongs
    to one machine."""
    names = [name for name in (*PASSED_ON, "HF_HOME") if name not in ("TMPDIR", "CUDA_VISIBLE_DEVICES")]
    return [f"export {name}={shlex.quote(os.environ[name])}" for name in names if name in os.environ]


class _Queue(Protocol):
    def number(self, submitted: str) -> str:
        """By which a job is known to a later driver too."""

    def alive(self) -> set[str] | None:
        """Of jobs that run or wait; None where it cannot be told now."""

    def cancel(self, numbers: Iterable[str]) -> None:
        """Stops them with everything that they started."""


class _SlurmQueue:
    SECONDS = 60
    """In which cancelled jobs are given to end."""

    def number(self, submitted: str) -> str:
        return submitted

    def alive(self) -> set[str] | None:
        # By user and not by number: Slurm forgets numbers, and then refuses the whole question.
        command = ["squeue", "--noheader", "--array", "--me", "--format=%i"]
        try:
            asked = subprocess.run(command, capture_output=True, text=True, timeout=self.SECONDS, check=True)
        except (subprocess.SubprocessError, OSError):
            return None
        return set(asked.stdout.split())

    def cancel(self, numbers: Iterable[str]) -> None:
        wanted = set(numbers)
        subprocess.run(["scancel", *sorted(wanted)], capture_output=True, timeout=self.SECONDS, check=False)
        deadline = time.monotonic() + self.SECONDS
        while time.monotonic() < deadline and (left := self.alive()) is not None and wanted & left:
            time.sleep(0.5)


class _LocalQueue:
    """Submitit's processes on this machine, which outlive the driver."""

    def number(self, submitted: str) -> str:
        """With the time of its start: a process of the same number may be another one later."""
        with suppress(psutil.Error):
            return f"{submitted} {psutil.Process(int(submitted)).create_time()}"
        return f"{submitted} ended"

    def alive(self) -> set[str]:
        found = set()
        for process in psutil.process_iter(["status", "create_time"]):
            if process.info["status"] != psutil.STATUS_ZOMBIE:
                found.add(f"{process.pid} {process.info['create_time']}")
        return found

    def cancel(self, numbers: Iterable[str]) -> None:
        for number in set(numbers) & self.alive():
            with suppress(psutil.Error):
                first = psutil.Process(int(number.split()[0]))
                family = [first, *first.children(recursive=True)]
                for process in family:
                    with suppress(psutil.Error):
                        process.kill()
                psutil.wait_procs(family, timeout=10)
