"""How jobs ended, written down in a store by the node that ran them, for whichever driver asks.

The folder that a job left is a parcel of that store, put there first: an ending whose parcel is not whole is not
believed.
"""

from __future__ import annotations

import logging
import secrets
import signal
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from rewards_generated.errors import UserError
from rewards_generated.files import write_whole
from search.store.base import Parcel, bring
from search.store.parcels import ParcelDamaged
from search.store.url_store import UrlStore
from trainer.jobs.base import FailureOwner, Job
from trainer.jobs.folder import kept_result
from trainer.jobs.registry import KINDS
from trainer.jobs.settings import Frozen

logger = logging.getLogger(__name__)

PREEMPTED = (-signal.SIGTERM, -signal.SIGUSR2)
"""Exit codes of a process that Slurm told to end, as it tells all of a job: it is preempted, or its time is over."""
SEARCH_FILE = ".search"
"""Beside the folders of jobs: by what a store knows whose they are."""


class Ending(Frozen):
    node: str
    """For people."""
    code: int | None = None
    """Exit code of the job's process; None: it was stopped at its limit, or nothing of it ran."""
    sha256: str | None = None
    """Of the parcel with the job's folder; None: nothing of the job ran."""
    failure: str | None = None
    """Why nothing of it ran."""
    owner: FailureOwner | None = None

    @property
    def final(self) -> bool:
        """Else the job is run again and goes on from what it left."""
        return self.sha256 is None or self.code not in PREEMPTED


class Endings:
    """Of the jobs of one search. All methods raise StoreFailed."""

    def __init__(self, store: UrlStore, search: str) -> None:
        self.store, self.search, self._place = store, search, f"results/{search}"

    def of(self, digest: str) -> Ending | None:
        """None where the job has not ended, or what is written there is damaged."""
        content = self.store.read(f"{self._place}/{digest}")
        with suppress(ValidationError):
            return None if content is None else Ending.model_validate_json(content)
        return None

    def all(self) -> set[str]:
        """Digests of the jobs that have one."""
        return self.store.names(self._place)

    def keep(self, digest: str, folder: Path, node: str, code: int | None) -> str:
        """Puts what the job left into the store, and then that it ended; returns the parcel's SHA-256. Raises
        ParcelDamaged where the folder changes meanwhile."""
        parcel = self.store.put(folder)
        self._write(digest, Ending(node=node, code=code, sha256=parcel.sha256))
        return parcel.sha256

    def fail(self, digest: str, node: str, failure: str, owner: FailureOwner) -> None:
        self._write(digest, Ending(node=node, failure=failure, owner=owner))

    def _write(self, digest: str, ending: Ending) -> None:
        self.store.write(f"{self._place}/{digest}", ending.model_dump_json().encode())

    def forget(self, digest: str) -> None:
        """Before the job is run again; from where an interrupted attempt goes on is kept."""
        if (ending := self.of(digest)) is None or ending.final:
            self.store.remove(f"{self._place}/{digest}")

    def go_on(self, digest: str, folder: Path) -> None:
        """Puts what an interrupted attempt left in the place of the folder, if it is there and whole."""
        ending = self.of(digest)
        if ending is not None and not ending.final and ending.sha256 is not None:
            with suppress(ParcelDamaged):
                bring(self.store, Parcel(ending.sha256), folder)

    def fetch(self, digest: str, parcel: str, place: Path) -> None:
        """Puts what the job left in the place of the folder. Raises ParcelDamaged, after which it is as if the job had
        not ended; OSError of this machine's disk."""
        try:
            bring(self.store, Parcel(parcel), place)
        except ParcelDamaged:
            self.store.remove(f"{self._place}/{digest}")
            raise

    def adopt(self, job: Job, place: Path) -> bool:
        """Whether the job has ended well, or the candidate has failed, under a driver that did not take it: then its
        result lies in the place now."""
        ending = self.of(job.digest)
        if ending is None or not ending.final or ending.sha256 is None:
            return False
        try:
            self.fetch(job.digest, ending.sha256, place)
        except ParcelDamaged as error:
            logger.warning("%s runs again: what it left in the store is not whole: %s", job.label, error)
            return False
        return kept_result(place, job.digest, KINDS[job.kind].result) is not None

    def supply(self, job: Job, folder: Path) -> None:
        """Brings back the folders of the jobs from which this one goes on, where they are gone from the folder. Raises
        UserError where one is gone from the store too."""
        for digest in {sibling.partition("/")[0] for sibling in job.siblings}:
            if not (folder / digest).is_dir():
                try:
                    ending = self.of(digest)
                    if ending is None or ending.sha256 is None:
                        raise ParcelDamaged(f"it is not in the store {self.store.url}")
                    self.fetch(digest, ending.sha256, folder / digest)
                except ParcelDamaged as error:
                    raise UserError(
                        f"{folder / digest}, from which {job.label} goes on, is gone, and cannot be brought back: "
                        f"{error}; copy it there from where the search ran before"
                    ) from None


def search_of(folder: Path) -> str:
    """By what a store knows the search whose jobs lie in the folder; drawn now if it has no name yet."""
    file = folder / SEARCH_FILE
    with suppress(OSError):
        if found := file.read_text(encoding="ascii").strip():
            return found
    drawn = secrets.token_hex(16)
    name_search(folder, drawn)
    return drawn


def name_search(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / SEARCH_FILE, name)


def public_name(secret: str) -> str:
    """Of a search, which does not tell its secret."""
    return sha256(f"store {secret}".encode()).hexdigest()[:32]
