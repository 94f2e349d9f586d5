"""Warm engines on a Ray cluster: an actor on each node keeps a vLLM server for the jobs that run there.

The actors are the driver's: they, and the servers with them, end when the driver does, and Ray starts one again that is
lost while its node lives. A job's task asks that of its node by name.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eval.engines.base import EngineLost
from eval.engines.vllm_served import MEMORY_SHARE, Warm
from search.executors.node import node_root
from search.executors.ray_nodes import pinned_to
from search.executors.warm_engine import WarmEngine, WarmServer, source_of, told_of, warm_engine_of
from trainer.jobs.base import Job

WAIT_SECONDS = 1.0
ACTOR_SECONDS = 120.0
"""In which an actor that is lost is there again, or its node is gone."""


class RayEngines:
    """Those of one driver: on every node the same, for jobs of one base policy at a time."""

    def __init__(self, node_folder: str | None) -> None:
        self._folder = node_folder
        self._actors: dict[str, tuple[Any, Any]] = {}
        """By node: the actor, and what tells that it is there."""
        self._needs: dict[str, WarmEngine | None] = {}
        self._current: WarmEngine | None = None
        self.share = MEMORY_SHARE
        """Of a GPU, what an engine keeps."""
        self.ready: set[str] = set()
        """Nodes where one is there."""

    def expect(self, jobs: Iterable[Job]) -> None:
        """These are to run next. Raises UserError for what no engine can do."""
        self.share = max((need.memory_share for need in map(self.needed, jobs) if need), default=self.share)

    def needed(self, job: Job) -> WarmEngine | None:
        if job.digest not in self._needs:
            self._needs[job.digest] = warm_engine_of(job)
        return self._needs[job.digest]

    def of(self, job: Job) -> WarmEngine | None:
        """What serves the job, if it needs one, after `turn_to`."""
        return self._current if self.needed(job) else None

    def turn_to(self, wanted: WarmEngine, others: Iterable[Job], busy: bool) -> bool:
        """Whether the engines serve what is wanted. If they are not `busy`, and none of the others that wait needs them
        as they are, they become such, with room for what others of the same policy need too."""
        needs = [need for need in map(self.needed, others) if need is not None]
        if self._current is not None:
            if self._current.serves(wanted):
                return True
            if busy or any(map(self._current.serves, needs)):
                return False
            self.end()
        for need in needs:
            wanted = wanted.beside(need)
        self._current = wanted.model_copy(update={"owner": uuid.uuid4().hex})
        return True

    def keep(self, jobs: Mapping[str, int], gpus: float, nodes: set[str]) -> set[str]:
        """Sees to it that there is one on each of the nodes that `jobs` names, and none but on `nodes`; returns where
        it is ready.

        `jobs`: that a node has room for at the same time. `gpus`: what an engine asks for. Waits a moment where none is
        ready.
        """
        import ray

        assert self._current is not None
        for node in self._actors.keys() - nodes:
            del self._actors[node]
        for node in jobs.keys() - self._actors.keys():
            self._actors[node] = self._start(self._current, node, jobs[node], gpus)
        signs = {sign: node for node, (_, sign) in self._actors.items()}
        found = ray.wait(list(signs), num_returns=len(signs), timeout=0)[0] if signs else []
        if signs and not found:
            found, _ = ray.wait(list(signs), num_returns=1, timeout=WAIT_SECONDS)
        self.ready = {signs[sign] for sign in found}
        return self.ready

    def end(self) -> None:
        import ray

        for actor, _ in self._actors.values():
            ray.kill(actor)
        self._actors.clear()
        self._current = None

    def _start(self, wanted: WarmEngine, node: str, jobs: int, gpus: float) -> tuple[Any, Any]:
        import ray

        name = wanted.name(node)
        kept = ray.remote(max_restarts=-1)(_Kept).options(
            name=name, num_cpus=0, num_gpus=gpus, scheduling_strategy=pinned_to(node)
        )
        actor = kept.remote(wanted, jobs, gpus > 0, self._folder, name)
        return actor, actor.ready.remote()


class _Kept:
    """The actor."""

    def __init__(self, wanted: WarmEngine, jobs: int, on_gpu: bool, folder: str | None, name: str) -> None:
        self._server = WarmServer(wanted, jobs, on_gpu, node_root(folder) / "engines" / name)

    def ready(self) -> None: ...

    def serve(self, source: str) -> Warm:
        return self._server.serve(source)


@contextmanager
def served_here(wanted: WarmEngine, node: str, job: Job, attempt: Path) -> Iterator[Mapping[str, str]]:
    """As `node.Serving` wants it. `node`: id of this one. Raises EngineLost and EngineUnusable."""
    with told_of(_ask(wanted.name(node), source_of(wanted, job)), attempt) as variables:
        yield variables


def _ask(name: str, source: str) -> Warm:
    import ray

    until = time.monotonic() + ACTOR_SECONDS
    while True:
        try:
            warm: Warm = ray.get(ray.get_actor(name).serve.remote(source))
            return warm
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except (ray.exceptions.RayActorError, ValueError) as error:  # it is not there, not yet, or not any more
            if time.monotonic() > until:
                why = str(error).strip().partition("\n")[0]
                raise EngineLost(f"the engine that jobs of this node share is gone: {why}") from None
        time.sleep(WAIT_SECONDS)
