"""Runs jobs in this process: `run_here` in one of the caller's, `python -P -m trainer.jobs.process FOLDER` in its own.

The latter reads FOLDER/job.json, and leaves FOLDER/result.json (written last, by atomic rename), FOLDER/log.txt and
what the kind of job leaves. Exit codes: 0 the result is whole, 1 the job failed and the result says why, 2 there is no
job.
"""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from eval.engines.base import EngineLost, EngineUnusable
from rewards_generated.children import end_with, keep_exit_codes
from rewards_generated.errors import UserError
from trainer.jobs.base import Done, Job, Result
from trainer.jobs.folder import JOB_FILE, LOG_FILE, RESULT_FILE, kept_result, versions, write_model
from trainer.jobs.registry import KINDS, read_job

logger = logging.getLogger("trainer")

RunJobs = Callable[[Sequence[Job], Path], Iterator[Done]]
"""(jobs, folder) -> each when it has ended: the `run` of an executor."""

_PR_SET_PDEATHSIG = 1


def run(folder: Path) -> Result:
    """Runs the job of the folder and writes its result. Raises UserError if there is no valid job."""
    started = time.perf_counter()
    job = read_job(folder)
    kind = KINDS[job.kind]
    logger.info("%s job %s: %s", job.kind, job.digest[:12], job.label)
    try:
        result = kind.run(job, folder, started)
    except EngineLost as error:
        result = kind.result(digest=job.digest, failure=str(error), owner="process", versions=versions())
    except EngineUnusable as error:
        result = kind.result(digest=job.digest, failure=str(error), owner="engine", versions=versions())
    except UserError as error:
        result = kind.result(digest=job.digest, failure=str(error), owner="setup", versions=versions())
    write_model(folder / RESULT_FILE, result)
    logger.info("done: %s", result.failure or ", ".join(f"{name} {s:.1f} s" for name, s in result.seconds.items()))
    return result


def run_here(jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
    """Runs jobs one after the other: the simplest thing that can stand where an executor stands.

    Each in `folder/DIGEST`. Peak memory is then of the whole process, not of the job.
    """
    for job in jobs:
        place = folder / job.digest
        result = kept_result(place, job.digest, KINDS[job.kind].result)
        if result is None:
            place.mkdir(parents=True, exist_ok=True)
            (place / RESULT_FILE).unlink(missing_ok=True)
            write_model(place / JOB_FILE, job)
            result = run(place)
        yield Done(job, result, place)


def _hold_on_to(parent: int) -> None:
    """From now on this process is killed when process `parent`, its parent, dies. It must lead its process group.

    The kernel does it at once on Linux; a thread that watches the parent's id does it elsewhere.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    end_with(parent)


def _redirect_output(folder: Path) -> None:
    """Sends everything that this process prints, and what its libraries print, to the folder's log."""
    log = os.open(folder / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", stream=sys.stderr, force=True)
    logger.setLevel(logging.INFO)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m trainer.jobs.process", description="Runs the job of one folder.")
    parser.add_argument("folder", type=Path, help=f"holds {JOB_FILE}; receives {RESULT_FILE}, {LOG_FILE} and adapter")
    parser.add_argument("--driver", type=int, metavar="PID", help="parent process with which this one ends")
    arguments = parser.parse_args()
    keep_exit_codes()
    if arguments.driver is not None:
        _hold_on_to(arguments.driver)
    if not arguments.folder.is_dir():
        parser.error(f"{arguments.folder} is no folder")
    folder = arguments.folder.resolve()
    terminal = os.fdopen(os.dup(2), "w")
    _redirect_output(folder)
    try:
        failure = run(folder).failure
    except UserError as error:
        print(error, file=terminal, flush=True)
        return 2
    if failure is not None:
        print(failure, file=terminal, flush=True)
    return 0 if failure is None else 1


if __name__ == "__main__":
    sys.exit(main())
