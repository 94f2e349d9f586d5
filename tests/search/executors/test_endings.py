"""Jobs of which a node has nothing but the order: their ends in a store, for whichever driver asks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rewards_generated.errors import UserError
from search.executors import node
from search.executors.endings import Ending, Endings, name_search, public_name, search_of
from search.executors.node import Ended, Event, Lost, Order, Progress, Refused, carry_out, carry_out_through_store
from search.executors.on_node import JobFromStore
from search.store.base import Parcel, Sender
from search.store.inputs import inputs_of
from search.store.parcels import ParcelDamaged
from search.store.url_store import StoreFailed, UrlStore
from tests.search.bucket_servers import SECRET
from tests.search.executors.shell_jobs import start_shell
from tests.search.store.test_parcels import contents
from tests.trainer.tiny import training_run
from trainer.jobs.evaluate import EvaluateJob, EvaluateResult
from trainer.jobs.folder import JOB_FILE, RESULT_FILE, kept_result, versions, write_model
from trainer.jobs.train import TrainJob

SEARCH = "5" * 32


def job(label: str = "plain", base_model: str = "testbed") -> EvaluateJob:
    task = {"name": "testbed", "options": {"train": 8, "validation": 8, "test": 8}}
    return EvaluateJob.model_validate(
        {
            "label": label,
            "base_model": base_model,
            "suites": {"questions": {"task": task, "split": "validation", "questions": 4}},
            "max_completion_tokens": 8,
            "hardware": {"device": "cpu"},
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> UrlStore:
    return UrlStore(f"file://{tmp_path}/store")


@pytest.fixture
def endings(store: UrlStore) -> Endings:
    return Endings(store, SEARCH)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """In place of a job's process `sh`, which does what the label says; of every start what was in the folder."""
    found: list[list[str]] = []

    def start(asked: EvaluateJob, folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        folder.mkdir(exist_ok=True)
        found.append(sorted(path.name for path in folder.iterdir()))
        write_model(folder / JOB_FILE, asked)
        return start_shell(asked, folder, f"mkdir -p {folder}/checkpoint; echo 3 > {folder}/checkpoint/step")

    monkeypatch.setattr(node, "start_job", start)
    return found


def order(asked: EvaluateJob, store: UrlStore, tmp_path: Path, **changes: object) -> Order:
    sender = Sender(store)
    inputs = tuple(sender.send(given) for given in inputs_of(asked, tmp_path / "jobs"))
    found = Order(asked.model_dump_json(), asked.kind, versions(), inputs, None, str(tmp_path / "node"), 0)
    return replace(found, store=store.url, search=SEARCH, **changes)  # type: ignore[arg-type]


def carried(asked: EvaluateJob, store: UrlStore, tmp_path: Path) -> list[Event]:
    return list(carry_out(order(asked, store, tmp_path), "n1", store, Endings(store, SEARCH)))


def parcel_of(store: UrlStore, sha256: str) -> Path:
    return Path(store.url.removeprefix("file://")) / "parcels" / sha256


def test_what_a_job_left_is_in_the_store_before_its_end_is_written_down(
    store: UrlStore, endings: Endings, tmp_path: Path, started: list[list[str]]
) -> None:
    asked = job()
    events = carried(asked, store, tmp_path)
    assert isinstance(events[0], Progress)
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert endings.all() == {asked.digest}
    assert endings.of(asked.digest) == Ending(node="n1", code=0, sha256=ended.sha256)
    place = tmp_path / "another driver" / asked.digest
    assert endings.adopt(asked, place)
    assert kept_result(place, asked.digest, EvaluateResult) is not None
    # As the driver described it, without a place of the node's.
    assert json.loads((place / JOB_FILE).read_text()) == json.loads(asked.model_dump_json())


def test_an_end_without_its_parcel_is_none(
    store: UrlStore, endings: Endings, tmp_path: Path, started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store fails while the result is on its way."""

    def fails(name: str, parts: Iterator[bytes]) -> None:
        next(iter(parts))
        raise StoreFailed("the store is gone")

    sent = order(job(), store, tmp_path)
    monkeypatch.setattr(store, "_write", fails)
    [_, last] = carry_out(sent, "n1", store, endings)
    assert last == Lost("what it left could not be put into the store from node n1: the store is gone")
    assert endings.all() == set()


def shortened(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-700])


def altered(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:600] + bytes([whole[600] ^ 1]) + whole[601:])


@pytest.mark.parametrize("harm", [shortened, altered, Path.unlink])
def test_a_result_that_is_not_whole_is_not_believed(
    store: UrlStore,
    endings: Endings,
    tmp_path: Path,
    started: list[list[str]],
    harm: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = job()
    last = carried(asked, store, tmp_path)[-1]
    assert isinstance(last, Ended)
    harm(parcel_of(store, last.sha256))
    place = tmp_path / "jobs" / asked.digest
    place.mkdir(parents=True)
    (place / "kept").touch()
    assert not endings.adopt(asked, place)
    assert list(contents(place)) == ["kept"]
    [record] = caplog.records
    assert record.message.startswith("plain runs again: what it left in the store is not whole: ")
    # It is gone, and the next attempt's is taken.
    assert endings.all() == set()
    carried(asked, store, tmp_path)
    assert endings.adopt(asked, place)


def test_a_damaged_input_is_put_again(store: UrlStore, tmp_path: Path, started: list[list[str]]) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}" * 600)
    asked = job(base_model=str(base))
    [sent] = order(asked, store, tmp_path).inputs
    altered(parcel_of(store, sent.parcel.sha256))
    [event] = carried(asked, store, tmp_path)
    assert isinstance(event, Lost)
    assert event.why.startswith(f"{base} did not arrive on node n1: ")
    assert isinstance(carried(asked, store, tmp_path)[-1], Ended)


def test_a_node_fetches_a_base_policy_once(
    store: UrlStore, tmp_path: Path, started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    fetched: list[str] = []
    real = UrlStore.fetch
    monkeypatch.setattr(UrlStore, "fetch", lambda self, parcel: (fetched.append(parcel.sha256), real(self, parcel))[1])
    for label in ("plain", "crash"):
        carried(job(label, base_model=str(base)), store, tmp_path)
    assert len(fetched) == 1


def test_another_search_s_results_are_not_taken(store: UrlStore, tmp_path: Path, started: list[list[str]]) -> None:
    asked = job()
    carried(asked, store, tmp_path)
    assert not Endings(store, "6" * 32).adopt(asked, tmp_path / "jobs" / asked.digest)


def test_a_node_that_cannot_use_the_store_refuses(store: UrlStore, tmp_path: Path, started: list[list[str]]) -> None:
    (tmp_path / "file").touch()
    sent = replace(order(job(), store, tmp_path), store=f"file://{tmp_path}/file/store")
    [event] = carry_out_through_store(sent, "n1")
    assert event == Refused("n1", f"node n1: the store file://{tmp_path}/file/store cannot be used: Not a directory")
    with pytest.raises(StoreFailed):
        JobFromStore(sent)()
    assert started == []


def test_what_is_written_of_an_end_and_cannot_be_read_is_no_end(endings: Endings, store: UrlStore) -> None:
    store.write(f"results/{SEARCH}/x", b'{"node": "n1", "code"')
    assert endings.of("x") is None
    endings.forget("x")
    assert endings.all() == set()


def test_a_failure_of_the_process_is_not_adopted(
    endings: Endings, store: UrlStore, tmp_path: Path, started: list[list[str]]
) -> None:
    asked = job("crash")
    carried(asked, store, tmp_path)
    ending = endings.of(asked.digest)
    assert ending is not None
    assert ending.code == -signal.SIGKILL
    assert not endings.adopt(asked, tmp_path / "jobs" / asked.digest)


@pytest.mark.store
def test_a_bucket_s_credentials_do_not_reach_the_job(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[dict[str, str]] = []

    def start(asked: EvaluateJob, folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        folder.mkdir()
        seen.append(dict(environment))
        ready = EvaluateResult(digest=asked.digest)
        write_model(folder / RESULT_FILE, ready)
        with (folder / "log.txt").open("wb") as log:
            return subprocess.Popen(["env"], env=environment, stdout=log, start_new_session=True)

    monkeypatch.setattr(node, "start_job", start)
    asked, bucket = job(), UrlStore(f"{s3}/{tmp_path.name}")
    with caplog.at_level("DEBUG"):
        assert isinstance(carried(asked, bucket, tmp_path)[-1], Ended)
    place = tmp_path / "jobs" / asked.digest
    assert Endings(bucket, SEARCH).adopt(asked, place)
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == SECRET
    assert SECRET not in json.dumps(seen)
    assert not any(SECRET.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert "PATH=" in (place / "log.txt").read_text()
    assert SECRET not in caplog.text
    # Whatever becomes of it on its way.
    ending = Endings(bucket, SEARCH).of(asked.digest)
    assert ending is not None
    assert ending.sha256 is not None
    bucket.discard(Parcel(ending.sha256))
    assert not Endings(bucket, SEARCH).adopt(asked, tmp_path / "other")


def test_what_a_job_goes_on_from_is_brought_back(
    store: UrlStore, endings: Endings, tmp_path: Path, started: list[list[str]]
) -> None:
    origin, other = job(), "b" * 64
    carried(origin, store, tmp_path)
    runs = [training_run(tmp_path / "hub", seed=seed) for seed in (1, 2)]
    folder = tmp_path / "moved"
    (folder / other).mkdir(parents=True)
    going_on = TrainJob.of(*runs, origins=(origin.digest, other))
    endings.supply(going_on, folder)
    assert kept_result(folder / origin.digest, origin.digest, EvaluateResult) is not None
    assert contents(folder / other) == {}
    (folder / other).rmdir()
    with pytest.raises(UserError, match=rf"{other}, from which .* goes on, is gone, and cannot be brought back: it is"):
        endings.supply(going_on, folder)


# What Slurm starts


def test_a_job_that_has_its_end_is_not_run_again(
    store: UrlStore, endings: Endings, tmp_path: Path, started: list[list[str]]
) -> None:
    call = JobFromStore(order(job(), store, tmp_path))
    call()
    call()
    assert len(started) == 1
    endings.forget(job().digest)
    call()
    assert len(started) == 2


def test_why_a_node_did_not_run_a_job_is_written_down(
    store: UrlStore, endings: Endings, tmp_path: Path, started: list[list[str]]
) -> None:
    asked = job()
    JobFromStore(order(asked, store, tmp_path, versions={"torch": "1.0"}))()
    ending = endings.of(asked.digest)
    assert ending is not None
    assert (ending.sha256, ending.owner) == (None, "setup")
    assert "the driver 1.0: install the same there" in (ending.failure or "")
    gone = Parcel("0" * 64)
    lost = order(asked, store, tmp_path)
    lost = replace(lost, inputs=tuple(replace(sent, parcel=gone) for sent in order_with_policy(store, tmp_path).inputs))
    endings.forget(asked.digest)
    JobFromStore(lost)()
    ending = endings.of(asked.digest)
    assert ending is not None
    assert ending.owner == "process"
    assert "is not in the store" in (ending.failure or "")
    assert started == []


def order_with_policy(store: UrlStore, tmp_path: Path) -> Order:
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    return order(job(base_model=str(base)), store, tmp_path)


def test_a_job_that_slurm_told_to_end_goes_on_from_what_it_left(
    store: UrlStore, endings: Endings, tmp_path: Path, started: list[list[str]]
) -> None:
    asked = job("told")
    call = JobFromStore(order(asked, store, tmp_path))
    call()
    ending = endings.of(asked.digest)
    assert ending is not None
    assert not ending.final
    assert not endings.adopt(asked, tmp_path / "jobs" / asked.digest)
    # A driver that submits it again does not forget what there is.
    endings.forget(asked.digest)
    call()
    assert started == [[], ["checkpoint", JOB_FILE]]
    # What is damaged is not gone on from.
    ending = endings.of(asked.digest)
    assert ending is not None
    assert ending.sha256 is not None
    shortened(parcel_of(store, ending.sha256))
    call()
    assert started[2] == []


def test_when_its_time_is_over_a_job_leaves_what_it_has(
    store: UrlStore, endings: Endings, tmp_path: Path, started: list[list[str]]
) -> None:
    asked = job("slow")
    call = JobFromStore(order(asked, store, tmp_path))
    call._leave()
    assert endings.of(asked.digest) is None

    class TimeOver(Exception):
        pass

    def told(*_: object) -> None:
        assert call.folder is not None
        (call.folder / "checkpoint").mkdir()
        call._leave()
        raise TimeOver

    signal.signal(signal.SIGALRM, told)
    signal.setitimer(signal.ITIMER_REAL, 1)
    with pytest.raises(TimeOver):
        call()
    ending = endings.of(asked.digest)
    assert ending is not None
    assert (ending.code, ending.final) == (-signal.SIGUSR2, False)
    endings.go_on(asked.digest, tmp_path / "next")
    assert (tmp_path / "next" / "checkpoint").is_dir()


# Whose jobs they are


def test_a_search_has_one_name_wherever_its_folder_lies(tmp_path: Path) -> None:
    first = search_of(tmp_path / "jobs")
    assert search_of(tmp_path / "jobs") == first != search_of(tmp_path / "other")
    (tmp_path / "jobs").rename(tmp_path / "moved")
    assert search_of(tmp_path / "moved") == first
    name_search(tmp_path / "jobs", public_name("secret"))
    assert search_of(tmp_path / "jobs") == public_name("secret")
    assert "secret" not in public_name("secret")


def test_a_parcel_that_is_not_there_raises(endings: Endings, tmp_path: Path) -> None:
    with pytest.raises(ParcelDamaged, match="is not in the store"):
        endings.fetch("x", "0" * 64, tmp_path / "x")
