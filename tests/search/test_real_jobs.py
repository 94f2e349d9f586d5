"""Real training jobs of the testbed's policy: killed, and the driver killed over them; the leaderboard is the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from search.ledger import Ledger
from tests.search.searches import write_config

ROOT = Path(__file__).parents[2]

REAL = {
    "search": {"rounds": 1, "candidates_per_round": 2, "base_rollouts": {"questions": 8, "per_question": 2}},
    "screening": {"questions": 12, "lora": {"rank": 4, "alpha": 8}},
    "finals": {"ensembles": ["top-2"], "seeds": 1, "random_controls": {"first_round": 0, "pool": 0}},
    "executor": {"name": "local"},
    "hardware": {"device": "cpu", "threads": 1},
}

pytestmark = pytest.mark.slow


def start(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "search.cli", "run", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)


def wait_for_training_job(run: Path, among: int) -> int:
    """Process id of the `among`-th training job that this run starts, once it is training."""
    seen: list[int] = []
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            folder = next((Path(part) for part in command if part.startswith(str(run / "jobs"))), None)
            if "trainer.jobs.process" not in command or folder is None:
                continue
            pid = int(process.name)
            training = '"kind":"train"' in (folder / "job.json").read_text(encoding="utf-8")
            if training and pid not in seen:
                seen.append(pid)
            if len(seen) == among:
                time.sleep(3)  # into its start or its first steps
                return pid
        time.sleep(0.05)
    raise TimeoutError("no training job was started")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("uninterrupted")
    config = write_config(folder, **REAL)
    assert start("--config", str(config), "--run-dir", str(folder / "run")).wait(600) == 0
    return (folder / "run" / "leaderboard.json").read_text(encoding="utf-8")


def test_a_killed_job_and_a_killed_driver(tmp_path: Path, uninterrupted: str) -> None:
    config, run = write_config(tmp_path, **REAL), tmp_path / "run"
    driver = start("--config", str(config), "--run-dir", str(run))
    os.kill(wait_for_training_job(run, 1), signal.SIGKILL)
    job = wait_for_training_job(run, 2)
    driver.kill()
    driver.wait()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{job}/stat").exists() and " Z " not in Path(f"/proc/{job}/stat").read_text(encoding="utf-8"):
        assert time.monotonic() < deadline, "the job outlived its driver"
        time.sleep(0.1)
    assert start("--run-dir", str(run), "--resume").wait(600) == 0
    assert (run / "leaderboard.json").read_text(encoding="utf-8") == uninterrupted
    ledger = Ledger.open(run)
    failures = [record.failure for record in ledger.jobs()]
    ledger.close()
    assert failures == [None] * len(failures)
