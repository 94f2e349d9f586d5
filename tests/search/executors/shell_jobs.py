"""A shell in place of a job's process, which does what the label of the job says."""

from __future__ import annotations

import subprocess
from pathlib import Path

from trainer.jobs.evaluate import EvaluateJob, EvaluateResult
from trainer.jobs.folder import RESULT_FILE, write_model


def start_shell(asked: EvaluateJob, folder: Path, before: str = "true") -> subprocess.Popen[bytes]:
    """`plain`: it leaves a result; `crash`: it kills itself; `told`: it ends as if told to, after the command `before`;
    `slow`: it sleeps for a minute."""
    ready = folder.parent / "ready"
    ready.mkdir()
    write_model(ready / RESULT_FILE, EvaluateResult(digest=asked.digest))
    commands = {
        "plain": f"cp {ready}/* {folder}/",
        "crash": "kill -9 $$",
        "told": f"{before}; kill $$",
        "slow": "sleep 60",
    }
    return subprocess.Popen(["sh", "-c", commands[asked.label]], start_new_session=True)
