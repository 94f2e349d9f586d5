"""How jobs and results pass between a driver and the nodes of Slurm: in folders that both see, or through a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from rewards_generated.errors import SCARCE
from rewards_generated.files import write_whole
from search.executors.endings import Ending, Endings, search_of
from search.executors.job_process import describe_job, ended_job, lost_job, require_readable, seconds_allowed
from search.executors.node import Order
from search.executors.on_node import JobFromStore, JobOnNode
from search.store.base import Sender
from search.store.inputs import inputs_of
from search.store.parcels import ParcelDamaged
from search.store.url_store import UrlStore
from trainer.jobs.base import Job, Result
from trainer.jobs.folder import kept_result, read_result, versions
from trainer.jobs.registry import KINDS

SUBMITTED_FILE = "submitted.json"
"""In a job's folder from its submission until its result is taken: cluster and number."""


class HandOver(Protocol):
    """Of jobs that run in `folder/<their digest>`, by the driver's account."""

    def kept(self, job: Job) -> Result | None:
        """The result of an earlier run, if the job need not run again. Raises UserError if it cannot run there."""

    def submitted(self, digest: str) -> bytes | None:
        """What was noted of the job, if nobody has taken its result since."""

    def note_submitted(self, digest: str, note: str) -> None:
        """Written down for a later driver."""

    def forget_submitted(self, digest: str) -> None:
        """The job runs nowhere any more."""

    def on_node(self, job: Job, gpus: int) -> Callable[[], None]:
        """What is to be called on the node. The job must be about to be submitted."""

    def ended(self, jobs: Iterable[Job]) -> dict[str, Result]:
        """By digest what those have come to that have ended on their node."""

    def lost(self, job: Job, how: str) -> Result:
        """What a job came to that runs nowhere and has not ended. `how`: what became of it, after `the job`."""


class SharedFolder:
    """Implements `HandOver` where the driver and all nodes see the folder."""

    def __init__(self, folder: Path, call: type[JobOnNode], timeout: float | None) -> None:
        self._folder, self._call, self._timeout = folder, call, timeout

    def kept(self, job: Job) -> Result | None:
        return kept_result(self._folder / job.digest, job.digest, KINDS[job.kind].result)

    def submitted(self, digest: str) -> bytes | None:
        try:
            return (self._folder / digest / SUBMITTED_FILE).read_bytes()
        except OSError:
            return None

    def note_submitted(self, digest: str, note: str) -> None:
        write_whole(self._folder / digest / SUBMITTED_FILE, note)

    def forget_submitted(self, digest: str) -> None:
        (self._folder / digest / SUBMITTED_FILE).unlink(missing_ok=True)

    def on_node(self, job: Job, gpus: int) -> Callable[[], None]:
        place = self._folder / job.digest
        describe_job(job, place)
        return self._call(place.absolute(), self._timeout, versions())

    def ended(self, jobs: Iterable[Job]) -> dict[str, Result]:
        found = {job.digest: read_result(self._folder / job.digest, job.digest, KINDS[job.kind].result) for job in jobs}
        return {digest: result for digest, result in found.items() if result is not None}

    def lost(self, job: Job, how: str) -> Result:
        place = self._folder / job.digest
        require_readable(place)
        return lost_job(job, place, how)


class ThroughStore:
    """Implements `HandOver` where nodes see nothing of the driver's disk."""

    def __init__(
        self,
        store: UrlStore,
        sender: Sender,
        folder: Path,
        call: type[JobFromStore],
        timeout: float | None,
        node_folder: str | None,
    ) -> None:
        self._folder, self._call, self._timeout, self._node_folder = folder, call, timeout, node_folder
        self._store, self._sender = store, sender
        self._endings = Endings(store, search_of(folder))
        self._ended_before = self._endings.all()

    def kept(self, job: Job) -> Result | None:
        place = self._folder / job.digest
        kind: Any = KINDS[job.kind].result
        result: Result | None = kept_result(place, job.digest, kind)
        if result is None and job.digest in self._ended_before and self._endings.adopt(job, place):
            result = kept_result(place, job.digest, kind)
        if result is None:
            self._endings.supply(job, self._folder)
            inputs_of(job, self._folder)
        return result

    def submitted(self, digest: str) -> bytes | None:
        return self._store.read(self._note(digest))

    def note_submitted(self, digest: str, note: str) -> None:
        self._store.write(self._note(digest), note.encode())

    def forget_submitted(self, digest: str) -> None:
        self._store.remove(self._note(digest))

    def _note(self, digest: str) -> str:
        return f"submitted/{self._endings.search}/{digest}"

    def on_node(self, job: Job, gpus: int) -> Callable[[], None]:
        order = Order(
            job=job.model_dump_json(),
            kind=job.kind,
            versions=versions(),
            inputs=tuple(self._sender.send(given) for given in inputs_of(job, self._folder)),
            timeout=self._timeout,
            folder=self._node_folder,
            gpus=gpus,
            store=self._store.url,
            search=self._endings.search,
        )
        describe_job(job, self._folder / job.digest)
        self._endings.forget(job.digest)
        return self._call(order)

    def ended(self, jobs: Iterable[Job]) -> dict[str, Result]:
        there, found = self._endings.all(), dict[str, Result]()
        for job in jobs:
            if job.digest in there:
                ending = self._endings.of(job.digest)
                if ending is not None and ending.final:
                    found[job.digest] = self._taken(job, ending)
        return found

    def _taken(self, job: Job, ending: Ending) -> Result:
        kind, place = KINDS[job.kind].result, self._folder / job.digest
        if ending.sha256 is None:
            if ending.owner == "process":
                self._sender.forget(inputs_of(job, self._folder))
            result: Result = kind(digest=job.digest, failure=ending.failure, owner=ending.owner)
            return result
        try:
            self._endings.fetch(job.digest, ending.sha256, place)
        except (ParcelDamaged, OSError) as error:
            if isinstance(error, OSError) and error.errno in SCARCE:
                raise
            return self.lost(job, f"ended on node {ending.node}, and what it left did not come back whole: {error}")
        where = f" on node {ending.node}"
        return ended_job(job, place, ending.code, seconds_allowed(job, self._timeout), where)

    def lost(self, job: Job, how: str) -> Result:
        result: Result = KINDS[job.kind].result(digest=job.digest, failure=f"the job {how}", owner="process")
        return result
