"""Runs one job in this process: `python -P -m trainer.jobs.process FOLDER`.

Reads FOLDER/job.json, and leaves FOLDER/result.json (written last, by atomic rename), FOLDER/log.txt and what the kind
of job leaves. Exit codes: 0 the result is whole, 1 the job failed and the result says why, 2 there is no job.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import warnings
from pathlib import Path

from rewards_generated.errors import UserError
from trainer.jobs.base import Result
from trainer.jobs.folder import JOB_FILE, LOG_FILE, RESULT_FILE, versions, write_model
from trainer.jobs.lifeline import hold_on_to
from trainer.jobs.registry import KINDS, read_job

logger = logging.getLogger("trainer")


def run(folder: Path) -> Result:
    """Runs the job of the folder and writes its result. Raises UserError if there is no valid job."""
    started = time.perf_counter()
    job = read_job(folder)
    kind = KINDS[job.kind]
    logger.info("%s job %s: %s", job.kind, job.digest[:12], job.label)
    try:
        result = kind.run(job, folder, started)
    except UserError as error:
        result = kind.result(digest=job.digest, failure=str(error), owner="setup", versions=versions())
    write_model(folder / RESULT_FILE, result)
    logger.info("done: %s", result.failure or ", ".join(f"{name} {s:.1f} s" for name, s in result.seconds.items()))
    return result


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
    if arguments.driver is not None:
        hold_on_to(arguments.driver)
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
