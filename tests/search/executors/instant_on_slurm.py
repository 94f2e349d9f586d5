"""The executor under Slurm with a light process in place of a job's: see `tests.search.instant_process`."""

from __future__ import annotations

import os

from search.executors import on_node
from search.executors.on_node import JobOnNode
from search.executors.slurm import SlurmExecutor
from tests.search.executors.instant_on_ray import start


class InstantOnNode(JobOnNode):
    def __call__(self) -> None:
        on_node.start_job = start
        with (self.folder / "starts").open("a") as file:
            file.write(f"{os.getpid()}\n")
        super().__call__()


class InstantOnSlurm(SlurmExecutor):
    name = "instant under slurm"
    on_node = InstantOnNode
