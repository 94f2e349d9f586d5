"""The executor on a Ray cluster with a light process in place of a job's: see `tests.search.instant_process`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from search.executors import node
from search.executors.node import Event, Order
from search.executors.ray import RayExecutor, run_on_node
from trainer.jobs.base import Job
from trainer.jobs.folder import JOB_FILE, LOG_FILE, RESULT_FILE, write_model


def start(job: Job, folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT_FILE).unlink(missing_ok=True)
    write_model(folder / JOB_FILE, job)
    command = [sys.executable, "-m", "tests.search.instant_process", str(folder), str(os.getpid())]
    with (folder / LOG_FILE).open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)


def instant(order: Order) -> Iterator[Event]:
    node.start_job = start
    yield from run_on_node(order)


class InstantOnRay(RayExecutor):
    name = "instant on ray"
    on_node = staticmethod(instant)
