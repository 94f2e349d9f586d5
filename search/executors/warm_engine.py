"""A vLLM server that jobs of one base policy share on a node: what it is started with, and how they are told of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from eval.engines.base import EngineSettings
from eval.engines.vllm_process import ServerProcess
from eval.engines.vllm_served import MEMORY_SHARE, MOST_ROWS, Served, Warm, adapter_rank, highest_rank, model_fields
from eval.engines.vllm_server import ServerClient, started_server, unload_under
from search.executors.environment import job_environment
from trainer.jobs.base import Job
from trainer.jobs.evaluate import EvaluateJob
from trainer.jobs.settings import Frozen, Hardware, LoraSettings
from trainer.jobs.train import TrainJob
from trainer.policy import base_model_source

LEAST_ADAPTERS, LEAST_RANK = 8, LoraSettings().rank
"""That there is room for even where the first jobs need less, so that it is not started again for those that follow."""
MOST_ADAPTERS = 64
"""On a GPU, at once for several jobs together; the rows of more wait."""


class WarmEngine(Frozen):
    """What the jobs that share a server need of it. Equal ones are served by one."""

    base_model: str
    """As jobs name it."""
    hardware: Hardware
    version: str | None
    memory_share: float
    """Of a GPU's memory."""
    adapters: int
    """Of one job."""
    rank: int
    """What vLLM is told of the highest."""
    owner: str = ""
    """Whoever keeps it for the jobs."""

    def name(self, node: str) -> str:
        """Of the server on this node."""
        return f"vllm-{hashlib.sha256(f'{node} {self.model_dump_json()}'.encode()).hexdigest()[:24]}"

    def beside(self, other: WarmEngine) -> WarmEngine:
        """With room for the adapters of the other too, where those are of the same policy; else this one."""
        if self._policy != other._policy:
            return self
        room = {"adapters": max(self.adapters, other.adapters), "rank": max(self.rank, other.rank)}
        return self.model_copy(update=room)

    def serves(self, other: WarmEngine) -> bool:
        return self._policy == other._policy and self.beside(other) == self

    @property
    def _policy(self) -> str:
        return self.model_dump_json(exclude={"adapters", "rank", "owner"})


def warm_engine_of(job: Job) -> WarmEngine | None:
    """What the job needs; None for one that starts no vLLM server, one that sends it to sleep, or one of whole models
    beside the base policy's."""
    if isinstance(job, TrainJob):
        shared = job.shared
        found = (shared.base_model, shared.engine, len(job.members), shared.lora.rank)
    elif isinstance(job, EvaluateJob):
        folders = set(job.trained)
        try:
            rank = max(map(adapter_rank, folders), default=0)
        except OSError:
            return None
        found = (job.base_model, job.engine, len(folders), rank)
    else:
        return None
    base_model, engine, adapters, rank = found
    if not _starts_server(engine):
        return None
    return WarmEngine(
        base_model=base_model,
        hardware=job.hardware,
        version=engine.version,
        memory_share=engine.options.get("memory_share", MEMORY_SHARE),
        adapters=max(LEAST_ADAPTERS, adapters),
        rank=highest_rank(Served(base_model, adapters, max(LEAST_RANK, rank))),
    )


def _starts_server(engine: EngineSettings) -> bool:
    return engine.name == "vllm" and engine.options.get("server") == "start" and not engine.options.get("sleep")


class WarmServer:
    """The server, in a process that does nothing else: a child of it that ends when it does."""

    def __init__(self, wanted: WarmEngine, jobs: int, on_gpu: bool, folder: Path | None) -> None:
        """`jobs`: that ask it at the same time. `folder`: where its log goes."""
        # As the server of a job would inherit it.
        os.environ |= job_environment(wanted.hardware, None if on_gpu else "")
        self._wanted, self._device, self._folder = wanted, "cuda" if on_gpu else "cpu", folder
        adapters = wanted.adapters * jobs
        self._adapters = min(adapters, max(wanted.adapters, MOST_ADAPTERS)) if on_gpu else adapters
        self._process: ServerProcess | None = None

    def serve(self, source: str) -> Warm:
        """That of the base policy which lies at `source`, started where none runs. Raises EngineUnusable and EngineLost
        as `started_server` does."""
        served = Served(source, self._adapters, self._wanted.rank)
        if self._process is not None and not ServerClient(self._process.socket).healthy():
            self._process.stop()
            self._process = None
        if self._process is None:
            share, dtype = self._wanted.memory_share, self._wanted.hardware.dtype
            if self._folder is not None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._process = started_server(model_fields(served, self._device, dtype, MOST_ROWS, share), self._folder)
        return Warm(self._process.socket, served)


@contextmanager
def told_of(warm: Warm, attempt: Path) -> Iterator[Mapping[str, str]]:
    """Variables by which the process of a job is told of the server, which forgets the job's adapters afterwards.

    `attempt`: the folder in which all of them lie.
    """
    try:
        yield warm.variables()
    finally:
        unload_under(warm.socket, attempt)


def source_of(wanted: WarmEngine, job: Job) -> str:
    """Where the base policy of the job lies on this machine, as `WarmServer.serve` wants it."""
    return base_model_source(job.placed(wanted.base_model))
