"""Tasks whose building does what a test of the executor wants a job's process to do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from eval.tasks.base import Task
from rewards_generated.errors import UserError


def sleeps(options: dict[str, Any]) -> Task:
    """Starts a child in a session of its own, writes both process ids to `file`, and never ends."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    temporary = Path(options["file"] + ".part")
    temporary.write_text(json.dumps([os.getpid(), child.pid]))
    temporary.rename(options["file"])
    time.sleep(600)
    raise AssertionError("nobody stopped this job")


def crashes(options: dict[str, Any]) -> Task:
    print("the last words of this job", flush=True)
    os._exit(int(options["code"]))


def leaves_a_result_of_another_version(options: dict[str, Any]) -> Task:
    (Path(options["folder"]) / options["digest"] / "result.json").write_text('{"of": "another version"}')
    os._exit(0)


def killed(options: dict[str, Any]) -> Task:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def shows_environment(options: dict[str, Any]) -> Task:
    Path(options["file"]).write_text(json.dumps(dict(os.environ)))
    raise UserError("seen")


def hangs_the_second_time(options: dict[str, Any]) -> Task:
    """Quick for the first process that builds it, and never done for the next."""
    from tests.trainer.tiny import build

    try:
        Path(options["file"]).touch(exist_ok=False)
    except FileExistsError:
        time.sleep(600)
    return build({})


def counts_runs(options: dict[str, Any]) -> Task:
    """Adds a line to `file` for every process that builds it; then it is the sums of tests/trainer/tiny.py."""
    from tests.trainer.tiny import build

    with Path(options["file"]).open("a") as file:
        file.write(f"{os.getpid()}\n")
    return build({})
