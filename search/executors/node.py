"""The part of a job that happens on the machine that runs it, when that is not the driver's: what it needs arrives, the
machine is looked at, the job's process runs, and its folder goes back. Whatever the cluster, nothing here knows it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from eval.engines.base import EngineLost
from rewards_generated.children import keep_exit_codes
from rewards_generated.errors import SandboxUnavailable, UserError
from rewards_generated.sandbox import require_strength
from search.executors.endings import Endings
from search.executors.environment import job_environment
from search.executors.job_process import seconds_allowed, start_job, steps_done, stop_job
from search.executors.warm_engine import WarmEngine
from search.store.base import ParcelStore, Sent, bring
from search.store.parcels import ParcelDamaged, pack
from search.store.url_store import StoreFailed, UrlStore
from trainer.jobs.base import Job
from trainer.jobs.folder import JOB_FILE, LOG_FILE, versions, write_model
from trainer.jobs.registry import KINDS

POLL_SECONDS = 0.1
NEWS_SECONDS = 1.0
LOG_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class Order:
    """A job with all that a node needs to run it."""

    job: str
    """As JSON."""
    kind: str
    versions: Mapping[str, str]
    """Of the driver's packages, which the node's have to equal."""
    inputs: tuple[Sent, ...]
    timeout: float | None
    """Seconds of one training run, or of another job; None: no limit."""
    folder: str | None
    """Where the node keeps what it needs; None: `reward-search` in its folder for temporary files."""
    gpus: float
    store: str | None = None
    """URL of the store through which everything travels, if there is one."""
    search: str = ""
    """Whose job it is, in that store."""
    engine: WarmEngine | None = None
    """What serves the job on its node, if it shares that with others."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The node may not run the job; nothing of it ran."""

    node: str
    why: str


@dataclass(frozen=True, slots=True)
class Lost:
    """What the job needs did not arrive; nothing of it ran."""

    why: str


@dataclass(frozen=True, slots=True)
class Progress:
    """The first says that the job starts."""

    node: str
    steps: int = 0
    log: bytes = b""
    """What the log has more than before."""


@dataclass(frozen=True, slots=True)
class Part:
    """Of the job's folder, packed."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The last of all. `code`: of the process; None: it was stopped at its limit. `sha256`: of all parts together, or
    with a store of the parcel in it."""

    node: str
    code: int | None
    sha256: str


Event = Refused | Lost | Progress | Part | Ended
Serving = Callable[[Job, Path], AbstractContextManager[Mapping[str, str]]]
"""(job with its places, folder of the attempt) -> variables by which its process is told what serves it, for as long as
it runs. Raises EngineLost."""


def nothing_serves(job: Job, attempt: Path) -> AbstractContextManager[Mapping[str, str]]:
    return nullcontext({})


def carry_out(
    order: Order,
    node: str,
    store: ParcelStore,
    endings: Endings | None = None,
    started: Callable[[Path], None] = lambda folder: None,
    serving: Serving = nothing_serves,
) -> Iterator[Event]:
    """Runs the job of the order and tells what happens. `node`: its name for people. `store`: where the inputs are.
    `endings`: where the job's folder goes and its end is written down; without, the folder is told in parts.
    `started` is told of the folder when the job's process runs in it.

    Closing it, or any exception, stops the job's process and all that it started.
    """
    keep_exit_codes()
    job = KINDS[order.kind].job.model_validate_json(order.job)
    if (why := unfit(job, order.versions)) is not None:
        yield Refused(node, f"node {node} {why}")
        return
    with _attempt(order.folder) as attempt, ExitStack() as stack:
        places: dict[str, str] = {}
        for sent in order.inputs:
            try:
                _arrive(sent, attempt, places, store)
            except (ParcelDamaged, StoreFailed) as error:
                what = sent.input.name or sent.input.target
                yield Lost(f"{what} did not arrive on node {node}: {_first_line(error)}")
                return
        folder = attempt / job.digest
        if endings is not None:
            try:
                endings.go_on(job.digest, folder)
            except StoreFailed as error:
                yield Lost(f"what an earlier attempt left did not arrive on node {node}: {_first_line(error)}")
                return
        environment = job_environment(job.hardware, None if order.gpus else "")
        yield Progress(node)
        placed = job.model_copy(update={"places": places})
        try:
            told_of = stack.enter_context(serving(placed, attempt))
        except EngineLost as error:
            yield Lost(str(error))
            return
        process = start_job(placed, folder, {**environment, **told_of})
        started(folder)
        since, limit, told = time.monotonic(), seconds_allowed(job, order.timeout), Told()
        try:
            while (code := process.poll()) is None and (limit is None or time.monotonic() - since <= limit):
                time.sleep(POLL_SECONDS)
                if (news := told.news(node, folder)) is not None:
                    yield news
        finally:
            stop_job(process)
        # As the driver described it: nobody else knows the places of this node.
        write_model(folder / JOB_FILE, job)
        if endings is not None:
            try:
                yield Ended(node, code, endings.keep(job.digest, folder, node, code))
            except (ParcelDamaged, StoreFailed) as error:
                yield Lost(f"what it left could not be put into the store from node {node}: {_first_line(error)}")
            return
        digest = hashlib.sha256()
        for part in pack(folder):
            digest.update(part)
            yield Part(part)
        yield Ended(node, code, digest.hexdigest())


def carry_out_through_store(
    order: Order,
    node: str,
    started: Callable[[Path], None] = lambda folder: None,
    serving: Serving = nothing_serves,
) -> Iterator[Event]:
    """As `carry_out`, by the store that the order names. A node that cannot use it refuses."""
    assert order.store is not None
    try:
        store = UrlStore(order.store)
        store.require()
    except UserError as error:
        yield Refused(node, f"node {node}: {error}")
        return
    yield from carry_out(order, node, store, Endings(store, order.search), started, serving)


@dataclass(slots=True)
class Told:
    """What the driver knows of a job that runs."""

    steps: int = 0
    logged: int = 0
    at: float = 0.0

    def news(self, node: str, folder: Path) -> Progress | None:
        """What is new, but not more often than every `NEWS_SECONDS`."""
        if time.monotonic() - self.at < NEWS_SECONDS:
            return None
        self.at, steps, log = time.monotonic(), steps_done(folder), b""
        with suppress(OSError), (folder / LOG_FILE).open("rb") as file:
            file.seek(self.logged)
            log = file.read(LOG_BYTES)
        if steps == self.steps and not log:
            return None
        self.steps, self.logged = steps, self.logged + len(log)
        return Progress(node, steps, log)


def unfit(job: Job, wanted: Mapping[str, str]) -> str | None:
    """Why this machine may not run the job, as the end of a sentence; None if it may."""
    here = versions()
    for name, version in wanted.items():
        if _public(here.get(name, "")) != _public(version):
            return f"has {name} {here.get(name)}, the driver {version}: install the same there"
    for settings in job.sandboxes:
        try:
            require_strength(settings)
        except SandboxUnavailable as error:
            return f"cannot run rewards: {error}"
    return None


def _public(version: str) -> str:
    """Without the part that says for which hardware it was built."""
    return version.partition("+")[0]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def node_root(folder: str | None) -> Path:
    """Where a node keeps what jobs need and leave."""
    return Path(folder).expanduser() if folder else Path(tempfile.gettempdir(), f"reward-search-{os.getuid()}")


@contextmanager
def _attempt(folder: str | None) -> Iterator[Path]:
    """A folder for one attempt at one job, gone with it; those whose process was killed are removed on the way.

    Raises UserError if the folder that should hold it is another user's.
    """
    root = node_root(folder)
    attempts = root / "attempts"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if root.stat().st_uid != os.getuid():
        raise UserError(f"{root} belongs to another user: name another folder with executor.options.node_folder")
    attempts.mkdir(exist_ok=True)
    with ExitStack() as stack:
        with _locked(root / ".lock"):
            for left in attempts.iterdir():
                # One that has just ended may be removing its own.
                with suppress(BlockingIOError, FileNotFoundError), _locked(left / ".lock", wait=False):
                    shutil.rmtree(left)
            attempt = Path(tempfile.mkdtemp(dir=attempts))
            stack.enter_context(_locked(attempt / ".lock"))
        stack.callback(shutil.rmtree, attempt, ignore_errors=True)
        yield attempt


@contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds the lock, which a process that ends lets go. Raises BlockingIOError if another has it, unless it waits."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def _arrive(sent: Sent, attempt: Path, places: dict[str, str], store: ParcelStore) -> None:
    """Puts the input where the job finds it. What is lasting comes once, and stays for other jobs of this node."""
    given, sha256 = sent.input, sent.parcel.sha256
    if given.target is not None:
        bring(store, sent.parcel, attempt / given.target)
        return
    if given.lasting:
        content = attempt.parent.parent / "content"
        content.mkdir(exist_ok=True)
        place = content / sha256
        with _locked(content / f"{sha256}.lock"):
            if not place.is_dir():
                bring(store, sent.parcel, place)
    else:
        place = attempt / "inputs" / sha256
        if not place.is_dir():
            bring(store, sent.parcel, place)
    assert given.name is not None
    places[given.name] = str(place / given.path.name if given.is_file else place)
