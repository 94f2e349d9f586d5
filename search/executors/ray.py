"""Runs jobs as tasks of a Ray cluster, each on whichever node has room for it; no disk is shared.

What a job refers to by path travels through Ray's object store, named by its content, and its folder comes back the
same way; or both through a store behind a URL, in which results outlast the driver. Ray itself repeats nothing: an
attempt that is lost is a failure of the owner `process`, like any other.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rewards_generated.children import PASSED_ON
from rewards_generated.errors import SCARCE, UserError
from rewards_generated.files import restored, write_whole
from search.executors.base import Capacity
from search.executors.endings import Endings, search_of
from search.executors.job_process import describe_job, ended_job, require_limits, seconds_allowed
from search.executors.node import (
    Ended,
    Event,
    Lost,
    Order,
    Part,
    Progress,
    Refused,
    carry_out,
    carry_out_through_store,
    nothing_serves,
)
from search.executors.ray_engines import RayEngines, served_here
from search.executors.ray_nodes import alive_nodes, free_on_node, pinned_to, room_on
from search.store.base import ParcelStore, Sender
from search.store.inputs import Input, inputs_of
from search.store.object_store import FETCH_SECONDS, RayObjectStore
from search.store.parcels import PART_BYTES, ParcelDamaged, unpack
from search.store.url_store import CREDENTIALS, UrlStore
from trainer.jobs.base import Done, Job, Result
from trainer.jobs.folder import LOG_FILE, STEPS_FILE, kept_result, versions
from trainer.jobs.registry import KINDS
from trainer.jobs.settings import Hardware

logger = logging.getLogger(__name__)

NODE_ID = "ray.io/node-id"
"""Label that every node has."""
STOP_SECONDS = 20.0
"""That a task has for stopping its job's process and cleaning up, before its worker is killed."""
CONNECT_SECONDS = 5.0
WAIT_SECONDS = 1.0
POLL_SECONDS = 0.1
SILENT_SECONDS = 120.0
"""After which it is said that no job runs."""


@dataclass(slots=True)
class _Running:
    job: Job
    place: Path
    inputs: tuple[Input, ...]
    engine: bool = False
    """Whether it shares one with others."""
    steps: int = 0
    node: str = ""

    @property
    def spool(self) -> Path:
        """Where the parts of the job's folder gather until all are there."""
        return self.place.with_name(f".{self.place.name}.{os.getpid()}")


def run_on_node(order: Order) -> Iterator[Event]:
    """The task that runs a job, on whichever node."""
    import ray

    context = ray.get_runtime_context()
    node = f"{ray.util.get_node_ip_address()} ({context.get_node_id()})"
    serving = nothing_serves if order.engine is None else partial(served_here, order.engine, context.get_node_id())
    if order.store is None:
        yield from carry_out(order, node, RayObjectStore(), serving=serving)
    else:
        yield from carry_out_through_store(order, node, serving=serving)


class RayExecutor:
    """Implements `search.executors.base.Executor` on a Ray cluster.

    A job is one task, with the CPU threads of its hardware and a GPU where it has one; a node runs as many as it has
    room for. A node whose packages differ from the driver's, or whose sandbox is weaker than a job demands, gets no
    jobs, and is named in the log; where no other is left, in the error.
    """

    name = "ray"
    elsewhere = True
    on_node = staticmethod(run_on_node)

    def __init__(
        self,
        parallel_jobs: int | None = None,
        job_timeout_seconds: float | None = None,
        address: str | None = None,
        gpus_per_job: float | None = None,
        memory_gib_per_job: float | None = None,
        node_folder: str | None = None,
        store: str | None = None,
        warm_engine: bool = False,
    ) -> None:
        """Connects to the cluster at `address`, such as `auto` or `10.0.0.1:6379`; None starts Ray on this machine.

        `parallel_jobs`: jobs at the same time; None: as many as the cluster has room for. `job_timeout_seconds`: as
        for `LocalExecutor`. `gpus_per_job`: a fraction lets jobs share a GPU; None: 1, less what a warm engine
        keeps, and 0 for jobs on a CPU or where no node has a GPU. `memory_gib_per_job`: that a node must have left by
        Ray's account; None: it is not counted. `node_folder`: on every node, for what jobs need and leave; None: one in
        its folder for temporary files. `store`: URL of a store through which inputs and results travel
        (`search.store.url_store`); None: the cluster's memory. `warm_engine`: each node keeps a vLLM server, which the
        jobs there share that would start one of their own. Raises UserError for values out of range, and where Ray, the
        cluster or the store is not there.
        """
        require_limits(parallel_jobs, job_timeout_seconds)
        for field, value in {"gpus_per_job": gpus_per_job, "memory_gib_per_job": memory_gib_per_job}.items():
            if value is not None and value < 0:
                raise UserError(f"executor.options.{field} = {value} must be 0 or more")
        if gpus_per_job is not None and not (gpus_per_job <= 1 or gpus_per_job == int(gpus_per_job)):
            raise UserError(f"executor.options.gpus_per_job = {gpus_per_job}: give a part of one, or a whole number")
        self.parallel_jobs = parallel_jobs
        self.job_timeout_seconds = job_timeout_seconds
        self._gpus, self._memory_gib, self._node_folder = gpus_per_job, memory_gib_per_job, node_folder
        self._store: ParcelStore = RayObjectStore()
        self._endings: Endings | None = None
        self._url_store: UrlStore | None = None
        if store is not None:
            self._store = self._url_store = UrlStore(store)
            self._url_store.require()
        self._sender = Sender(self._store)
        self._engines = RayEngines(node_folder) if warm_engine else None
        self._free: dict[tuple[str, bool], int] = {}
        self._places: dict[Hardware, int] = {}
        self._refused: dict[str, str] = {}
        self._running: dict[Any, _Running] = {}
        _connect(address, keys=CREDENTIALS if store is not None else ())

    def steps_in_progress(self) -> int:
        """GRPO steps done by the jobs that run now, those of every run in them."""
        return sum(state.steps * state.job.runs for state in list(self._running.values()))

    def capacity(self, hardware: Hardware) -> Capacity:
        """Asks every node. Raises UserError if none has room for such a job."""
        import ray

        wanted = self._resources(hardware)
        self._require_room(hardware)
        taken = self._taken(wanted)
        nodes = {node["NodeID"]: node["Resources"] for node in self._nodes()}
        rooms = self._rooms(wanted)
        free = ray.remote(max_retries=0, num_cpus=0)(free_on_node)
        on_gpu = wanted["num_gpus"] > 0
        asked = {
            node: free.options(scheduling_strategy=pinned_to(node)).remote(int(nodes[node]["GPU"]) if on_gpu else 0)
            for node in rooms
        }
        each = []
        for node, answer in asked.items():
            with suppress(ray.exceptions.RayError):  # one that is gone has no room
                # What an engine keeps is reckoned with elsewhere, as if it were the job's own; it has not started yet
                # where the node is asked first.
                sharing = max(1.0, (1 - taken) / wanted["num_gpus"]) if on_gpu else rooms[node]
                memory = ray.get(answer, timeout=FETCH_SECONDS)
                first = self._free.setdefault((node, on_gpu), memory)
                each.append(int((memory if self._engines is None else first) / sharing))
        if not each:
            raise UserError("no node of the Ray cluster answers: see `ray status`")
        jobs = sum(rooms.values())
        return Capacity(min(jobs, self.parallel_jobs or jobs), "cuda" if on_gpu else "cpu", min(each))

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        import ray

        waiting = list(jobs)
        for job in waiting:
            restored(folder / job.digest)
        if self._url_store is not None:
            self._endings = Endings(self._url_store, search_of(folder))
            ended_before = self._endings.all()
            for job in [job for job in waiting if job.digest in ended_before and self._kept(job, folder) is None]:
                self._endings.adopt(job, folder / job.digest)
        if self._engines is not None:
            self._engines.expect(waiting)
        for job in [job for job in waiting if self._kept(job, folder) is None]:
            if self._endings is not None:
                self._endings.supply(job, folder)
            inputs_of(job, folder)
            self._require_room(job.hardware)
        running = self._running
        heard = time.monotonic()
        try:
            while waiting or running:
                self._places.clear()
                going = {state.job.digest for state in running.values()}
                for job in [job for job in waiting if job.digest not in going]:
                    if (kept := self._kept(job, folder)) is not None:
                        waiting.remove(job)
                        yield Done(job, kept, folder / job.digest)
                    elif job.digest not in going and self._may_start(job, waiting):
                        waiting.remove(job)
                        going.add(job.digest)
                        self._submit(job, folder)
                if waiting and not running:
                    time.sleep(POLL_SECONDS)
                ready = ray.wait(list(running), num_returns=1, timeout=WAIT_SECONDS)[0] if running else []
                for task in ready:
                    state, heard = running[task], time.monotonic()
                    ended = self._hear(task, state)
                    if ended is None:
                        continue
                    del running[task]
                    state.spool.unlink(missing_ok=True)
                    if isinstance(ended, Refused):
                        waiting.append(state.job)
                    else:
                        yield Done(state.job, ended, state.place)
                if time.monotonic() - heard > SILENT_SECONDS and not any(state.node for state in running.values()):
                    logger.warning("no node of the Ray cluster has room for a job yet: see `ray status`")
                    heard = time.monotonic()
        finally:
            self._stop()
            self._sender.keep_lasting()

    def _kept(self, job: Job, folder: Path) -> Any:
        return kept_result(folder / job.digest, job.digest, KINDS[job.kind].result)

    def _may_start(self, job: Job, waiting: Sequence[Job]) -> bool:
        """Not while as many run as may: with warm engines as many as nodes have room for where one is ready, and none
        beside jobs that need another."""
        running = self._running
        if self.parallel_jobs is not None and len(running) >= self.parallel_jobs:
            return False
        if self._engines is None or (engine := self._engines.needed(job)) is None:
            return True
        if not self._engines.turn_to(engine, waiting, busy=any(state.engine for state in running.values())):
            return False
        if job.hardware not in self._places:
            wanted = self._resources(job.hardware)
            rooms = self._rooms(wanted)
            at_once = {node: min(room, self.parallel_jobs or room) for node, room in rooms.items()}
            ready = self._engines.keep(at_once, self._taken(wanted), {node["NodeID"] for node in self._nodes()})
            self._places[job.hardware] = sum(rooms[node] for node in ready & rooms.keys())
        return len(running) < self._places[job.hardware]

    def _submit(self, job: Job, folder: Path) -> None:
        import ray

        place = folder / job.digest
        place.parent.mkdir(parents=True, exist_ok=True)
        wanted = self._resources(job.hardware)
        inputs = tuple(inputs_of(job, folder))
        order = Order(
            job=job.model_dump_json(),
            kind=job.kind,
            versions=versions(),
            inputs=tuple(self._sender.send(given) for given in inputs),
            timeout=self.job_timeout_seconds,
            folder=self._node_folder,
            gpus=wanted["num_gpus"],
            engine=self._engines.of(job) if self._engines is not None else None,
        )
        if self._endings is not None:
            self._endings.forget(job.digest)
            order = replace(order, store=self._endings.store.url, search=self._endings.search)
        avoided = {*self._refused}
        if self._engines is not None and order.engine is not None:
            avoided |= {node["NodeID"] for node in alive_nodes()} - self._engines.ready
        selector = {NODE_ID: f"!in({','.join(sorted(avoided))})"} if avoided else None
        task = ray.remote(max_retries=0, num_returns="streaming")(self.on_node)
        started = task.options(name=job.label[:80], label_selector=selector, **wanted).remote(order)
        state = _Running(job, place, inputs, engine=order.engine is not None)
        state.spool.unlink(missing_ok=True)
        self._running[started] = state

    def _hear(self, task: Any, state: _Running) -> Result | Refused | None:
        """The next that a task has to tell; what the job came to where that was the last. Raises UserError."""
        import ray

        job = state.job
        try:
            event = ray.get(next(task))
        except StopIteration:
            return self._lost(state, "its task ended without a word")
        except ray.exceptions.TaskCancelledError:
            return self._lost(state, "its task was cancelled from elsewhere")
        except ray.exceptions.RayTaskError as error:
            raise _told(error, state.node) from error
        except ray.exceptions.RayError as error:
            return self._lost(state, f"{type(error).__name__}: {_first_line(error)}")
        if isinstance(event, Progress):
            self._show(event, state)
        elif isinstance(event, Part):
            with state.spool.open("ab") as spool:
                spool.write(event.content)
        elif isinstance(event, Lost):
            return self._lost(state, event.why)
        elif isinstance(event, Refused):
            self._refuse(event, job.hardware)
            return event
        elif isinstance(event, Ended):
            try:
                if self._endings is None:
                    unpack(_read(state.spool), event.sha256, state.place)
                else:
                    self._endings.fetch(job.digest, event.sha256, state.place)
            except (ParcelDamaged, OSError) as error:
                if isinstance(error, OSError) and error.errno in SCARCE:
                    raise
                return self._lost(state, f"what it left did not come back whole: {error}")
            limit = seconds_allowed(job, self.job_timeout_seconds)
            return ended_job(job, state.place, event.code, limit, where=f" on node {event.node}")
        return None

    def _show(self, event: Progress, state: _Running) -> None:
        """Keeps in the job's folder what the live view reads there, as if it ran here."""
        place = state.place
        if not state.node:
            describe_job(state.job, place)
            (place / LOG_FILE).unlink(missing_ok=True)
        state.node, state.steps = event.node, event.steps
        if event.steps:
            write_whole(place / STEPS_FILE, str(event.steps))
        if event.log:
            with (place / LOG_FILE).open("ab") as log:
                log.write(event.log)

    def _lost(self, state: _Running, why: str) -> Result:
        """Run again, it is sent anew."""
        self._sender.forget(state.inputs)
        where = f" on node {state.node}" if state.node else ""
        failure = f"the job was lost{where}: {why}"
        result: Result = KINDS[state.job.kind].result(digest=state.job.digest, failure=failure, owner="process")
        return result

    def _refuse(self, event: Refused, hardware: Hardware) -> None:
        """Raises UserError where no node with room for such a job is left."""
        for node in (known["NodeID"] for known in alive_nodes() if known["NodeID"] in event.node):
            if node not in self._refused:
                self._refused[node] = event.why
                logger.warning("%s; it gets no jobs", event.why)
        if not self._rooms(self._resources(hardware)):
            raise UserError(f"no node of the Ray cluster may run the jobs: {'; '.join(self._refused.values())}")

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in alive_nodes() if node["NodeID"] not in self._refused]

    def _resources(self, hardware: Hardware) -> dict[str, float]:
        """What Ray keeps for a job."""
        on_gpu = hardware.device == "cuda" or (
            hardware.device == "auto" and any(node["Resources"].get("GPU") for node in alive_nodes())
        )
        most = 1.0 if self._engines is None else 1.0 - self._engines.share
        gpus = 0.0 if not on_gpu else most if self._gpus is None else self._gpus
        wanted: dict[str, float] = {"num_cpus": hardware.threads, "num_gpus": gpus}
        if self._memory_gib is not None:
            wanted["memory"] = self._memory_gib * 2**30
        return wanted

    def _require_room(self, hardware: Hardware) -> None:
        wanted = self._resources(hardware)
        if not self._rooms(wanted):
            what = f"{hardware.threads} CPUs (hardware.threads)"
            what += f", {wanted['num_gpus']:g} GPU" if wanted["num_gpus"] else ""
            what += f", {self._memory_gib:g} GiB" if self._memory_gib else ""
            what += f", beside {taken:g} GPU for a warm engine" if (taken := self._taken(wanted)) else ""
            raise UserError(f"no node of the Ray cluster has what a job asks for: {what}; ask for less, or add a node")

    def _taken(self, wanted: dict[str, float]) -> float:
        """Of a GPU of each node, what a warm engine keeps from such jobs."""
        return self._engines.share if self._engines is not None and wanted["num_gpus"] else 0.0

    def _rooms(self, wanted: dict[str, float]) -> dict[str, int]:
        """By node that has room for any, so many such jobs as it can run side by side."""
        taken = self._taken(wanted)
        rooms = {node["NodeID"]: room_on(node["Resources"], wanted, taken) for node in self._nodes()}
        return {node: room for node, room in rooms.items() if room}

    def _stop(self) -> None:
        """Stops what runs, with all that it started, and waits for it; a worker that does not listen is killed."""
        import ray

        for force in (False, True):
            for task in self._running:
                with suppress(ray.exceptions.RayError, ValueError):
                    ray.cancel(task, force=force)
            deadline = time.monotonic() + STOP_SECONDS
            while self._running and time.monotonic() < deadline:
                for task in ray.wait(list(self._running), num_returns=1, timeout=WAIT_SECONDS)[0]:
                    try:
                        ray.get(next(task))
                    except (StopIteration, ray.exceptions.RayError):
                        self._running.pop(task).spool.unlink(missing_ok=True)
        for state in self._running.values():
            state.spool.unlink(missing_ok=True)
        self._running.clear()


def _read(spool: Path) -> Iterator[bytes]:
    with spool.open("rb") as file:
        while part := file.read(PART_BYTES):
            yield part


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")[:300]


def _told(error: Any, node: str) -> Exception:
    """What to raise for an exception within a task."""
    cause, where = error.cause, node or "of the Ray cluster"
    if isinstance(cause, UserError):
        return UserError(f"node {where}: {cause}")
    if isinstance(cause, OSError) and cause.errno in SCARCE:
        return UserError(f"node {where}: {cause.strerror}; see to it and continue with --resume")
    if isinstance(cause, ImportError) or "failed to import" in str(error):
        return UserError(f"node {where} cannot import reward-search: install it there, the same version as here")
    return error  # type: ignore[no-any-return]


def _connect(address: str | None, keys: tuple[str, ...] = ()) -> None:
    """`keys`: how variables begin that Ray on this machine gets beside those that jobs may have. Raises UserError."""
    if find_spec("ray") is None:
        raise UserError("executor.name = 'ray' needs the package ray: pip install 'reward-search[ray]'")
    if address is not None and address.startswith("ray://"):
        raise UserError(
            f"executor.options.address = {address!r}: the driver has to run on a node of the cluster; start it there, "
            "and give `auto` or HOST:PORT"
        )
    if address not in (None, "auto"):
        _require_answer(address)
    import ray

    if ray.is_initialized():
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        with _allowed_environment(keys):
            ray.init(address="local", include_dashboard=False, **quiet)
        return
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise UserError(
            f"executor.options.address = {address!r}: no Ray cluster of this version answers there "
            f"({_first_line(error)})"
        ) from None


def _require_answer(address: str) -> None:
    """Raises UserError in seconds, where Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"executor.options.address = {address!r}: give HOST:PORT, or `auto`")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        why = error.strerror or str(error)
        raise UserError(f"executor.options.address = {address!r}: nothing answers there ({why})") from None


@contextmanager
def _allowed_environment(keys: tuple[str, ...]) -> Iterator[None]:
    """Within it the environment is what jobs may have, so that no key of the driver's reaches a process of Ray's, and
    what begins as the `keys`."""
    before = dict(os.environ)
    allowed: Iterable[str] = {*PASSED_ON, "HOME", "HF_HOME", "USER"}
    for name in before.keys() - set(allowed):
        if not name.startswith(keys):
            del os.environ[name]
    # As fast as jobs of the local executor; and nothing is told to others.
    os.environ |= {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    try:
        yield
    finally:
        os.environ.update(before)
