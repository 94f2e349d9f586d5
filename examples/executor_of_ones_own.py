"""An executor of one's own: jobs in a pool of threads, each in a plain subprocess.

    executor: {name: "examples.executor_of_ones_own:ThreadPoolOfProcesses"}

in a configuration, run from the folder above this one. `check_executor` says whether it does all that an executor has
to do; run this file to see it:  python examples/executor_of_ones_own.py
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from search.executors.conformance import check_executor
from search.executors.environment import job_environment
from trainer.jobs.base import Done, Job
from trainer.jobs.folder import JOB_FILE, kept_result, read_result, write_model
from trainer.jobs.registry import KINDS


class ThreadPoolOfProcesses:
    name = "threads"

    def __init__(self, parallel_jobs: int = 1, job_timeout_seconds: float | None = None) -> None:
        self.parallel_jobs, self.job_timeout_seconds = parallel_jobs, job_timeout_seconds

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        with ThreadPoolExecutor(self.parallel_jobs) as pool:
            running = [pool.submit(self._done, job, folder / job.digest) for job in jobs]
            try:
                for ended in as_completed(running):
                    yield ended.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _done(self, job: Job, folder: Path) -> Done:
        kind = KINDS[job.kind].result
        kept = kept_result(folder, job.digest, kind)
        if kept is not None:
            return Done(job, kept, folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_model(folder / JOB_FILE, job)
        command = [sys.executable, "-P", "-m", "trainer.jobs.process", str(folder)]
        try:
            subprocess.run(command, env=job_environment(job.hardware), timeout=self.job_timeout_seconds, check=False)
        except subprocess.TimeoutExpired:
            late = kind(digest=job.digest, failure="the job took too long", owner="candidate")
            return Done(job, late, folder)
        lost = kind(digest=job.digest, failure="the job left no result", owner="process")
        return Done(job, read_result(folder, job.digest, kind) or lost, folder)


if __name__ == "__main__":
    check_executor(ThreadPoolOfProcesses)
    print("it does all that an executor has to do")
