"""Stands in for a job's process: `python -m tests.search.instant_process FOLDER`, light and instant.

Its result is that of the instant executor. The job's label may ask for more: `sleeps` starts a child in a session of
its own and never ends; `exit 3` ends with that code; `environment` leaves its environment in the folder; `pause 8`
takes so many seconds. Training runs take one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.search.instant import InstantExecutor
from trainer.jobs.folder import RESULT_FILE, write_model
from trainer.jobs.process import _hold_on_to
from trainer.jobs.registry import KINDS, read_job


def main(folder: Path, driver: int) -> int:
    _hold_on_to(driver)
    job = read_job(folder)
    if "sleeps" in job.label:
        subprocess.Popen(["sleep", "600"], start_new_session=True)
        (folder / "steps").write_text("7")
        time.sleep(600)
    if "environment" in job.label:
        (folder / "environment").write_text(json.dumps(dict(os.environ)))
    if (code := re.search(r"exit (\d+)", job.label)) is not None:
        print("the last words of this job", flush=True)
        return int(code[1])
    if (pause := re.search(r"pause (\d+)", job.label)) is not None:
        time.sleep(int(pause[1]))
    if "seed" in job.label:
        time.sleep(1)
    if any(path.startswith("/") and not Path(job.placed(path)).exists() for path in job.inputs):
        missing = KINDS[job.kind].result(digest=job.digest, failure="there is no such policy", owner="setup")
        write_model(folder / RESULT_FILE, missing)
        return 1
    [done] = InstantExecutor().run([job], folder.parent)
    write_model(folder / RESULT_FILE, done.result)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
