"""The executor under Slurm with a light process in place of a job's: see `tests.search.instant_process`."""

from __future__ import annotations

import os
from pathlib import Path

from search.executors import node, on_node
from search.executors.on_node import JobFromStore, JobOnNode
from search.executors.slurm import SlurmExecutor
from tests.search.executors.instant_on_ray import start


class InstantOnNode(JobOnNode):
    def __call__(self) -> None:
        on_node.start_job = start
        with (self.folder / "starts").open("a") as file:
            file.write(f"{os.getpid()}\n")
        super().__call__()


class InstantFromStore(JobFromStore):
    def __call__(self) -> None:
        node.start_job = start
        assert self.order.folder is not None
        starts = Path(self.order.folder)
        starts.mkdir(parents=True, exist_ok=True)
        with (starts / f"starts-{self.digest}").open("a") as file:
            file.write(f"{os.getpid()}\n")
        super().__call__()


class InstantOnSlurm(SlurmExecutor):
    name = "instant under slurm"
    on_node = InstantOnNode
    from_store = InstantFromStore
