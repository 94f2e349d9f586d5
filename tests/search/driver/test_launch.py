"""What a run is opened with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from search.cli import main
from search.driver.drive import INTERRUPTED
from search.executors.endings import search_of
from search.ledger import Ledger
from tests.search.searches import run_search
from trainer.jobs.base import Done, Job

named: list[str] = []


class StopsAtOnce:
    name = "stops at once"

    def __init__(self, parallel_jobs: int, job_timeout_seconds: float | None, store: str) -> None:
        pass

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        named.append(search_of(folder))
        raise KeyboardInterrupt
        yield


def test_a_store_knows_a_search_by_its_ledger_alone(tmp_path: Path) -> None:
    named.clear()
    executor: dict[str, Any] = {"name": f"{__name__}:StopsAtOnce", "options": {"store": "file:///store"}}
    code, run = run_search(tmp_path, executor=executor)
    assert code == INTERRUPTED
    shutil.copytree(run, tmp_path / "moved", ignore=shutil.ignore_patterns("jobs"))
    assert main(["run", "--run-dir", str(tmp_path / "moved"), "--resume", "--trust"]) == INTERRUPTED
    code, _ = run_search(tmp_path, name="another", executor=executor)
    assert named[0] == named[1] != named[2]
    secret = Ledger.open(run).fact("secret")
    assert secret not in named[0]
