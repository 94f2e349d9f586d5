"""What happens on the machine that runs a job, without any cluster."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rewards_generated.ensemble import Member
from rewards_generated.errors import SandboxUnavailable
from search.executors import node
from search.executors.local import LocalExecutor
from search.executors.node import Ended, Lost, Order, Part, Progress, Refused, carry_out, unfit
from search.store.base import Parcel, Sent
from search.store.inputs import inputs_of
from search.store.parcels import ParcelDamaged, pack, unpack
from tests.search.executors.test_local import alive, wait_for
from tests.trainer.tiny import COUNTS_SO, training_run, write_policy
from trainer.jobs.base import Job
from trainer.jobs.evaluate import EvaluateJob
from trainer.jobs.folder import RESULT_FILE, versions
from trainer.jobs.train import TrainJob


class InHand:
    """A store whose parcels hold their parts themselves. `asked`: the SHA-256 of all that were fetched."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def put(self, source: Path, only: Sequence[str] = ()) -> Parcel:
        parts = tuple(pack(source, only))
        return Parcel(hashlib.sha256(b"".join(parts)).hexdigest(), parts)

    def fetch(self, parcel: Parcel) -> Iterator[bytes]:
        self.asked.append(parcel.sha256)
        yield from parcel.parts

    def discard(self, parcel: Parcel) -> None:
        pass


IN_HAND = InHand()


def order(job: Job, jobs: Path, place: Path, **changes: Any) -> Order:
    """With all inputs packed; the node keeps its things in `place`."""
    sent = tuple(Sent(given, IN_HAND.put(given.path, given.only)) for given in inputs_of(job, jobs))
    fields = {"versions": versions(), "inputs": sent, "timeout": None, "folder": str(place), "gpus": 0.0}
    return Order(job=job.model_dump_json(), kind=job.kind, **{**fields, **changes})


def evaluation(base_model: Path, **changes: Any) -> EvaluateJob:
    task = {"name": "tests.trainer.tiny:build"}
    fields = {
        "label": "x",
        "base_model": str(base_model),
        "suites": {"sums": {"task": task, "split": "validation", "questions": 5}},
        "max_completion_tokens": 8,
        "hardware": {"device": "cpu"},
    }
    return EvaluateJob.model_validate({**fields, **changes})


def policy(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """In place of a job's process one that ends at once with code 5, and of what it would have found."""
    found: list[dict[str, Any]] = []

    def start(job: Job, folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        folder.mkdir(exist_ok=True)
        there = sorted(path.name for path in folder.iterdir())
        files = {name: Path(place).exists() for name, place in job.places.items()}
        found.append({"job": job, "there": there, "files": files, "environment": dict(environment)})
        (folder / "log.txt").write_text("last words")
        return subprocess.Popen([sys.executable, "-S", "-c", "raise SystemExit(5)"], start_new_session=True)

    monkeypatch.setattr(node, "start_job", start)
    return found


def test_inputs_arrive_the_folder_comes_back_and_base_policies_stay(tmp_path: Path, seen: list[dict[str, Any]]) -> None:
    base, adapter, jobs = policy(tmp_path / "base"), policy(tmp_path / "adapter"), tmp_path / "jobs"
    job = evaluation(base, adapters=(str(adapter),))
    (jobs / job.digest / "checkpoint").mkdir(parents=True)
    first = order(job, jobs, tmp_path / "node")
    events = list(carry_out(first, "n1", IN_HAND))
    assert isinstance(events[0], Progress)
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert ended.code == 5
    assert seen[0]["files"] == {str(base): True, str(adapter): True}
    assert "checkpoint" in seen[0]["there"]
    unpack([event.content for event in events if isinstance(event, Part)], ended.sha256, tmp_path / "back")
    assert (tmp_path / "back" / "log.txt").read_text() == "last words"
    assert json.loads((tmp_path / "back" / "job.json").read_text()) == json.loads(job.model_dump_json())
    assert list((tmp_path / "node" / "attempts").iterdir()) == []

    # The base policy is there; all else has to come again.
    again = InHand()
    assert isinstance(list(carry_out(first, "n1", again))[-1], Ended)
    names = {sent.parcel.sha256: sent.input.name or sent.input.target for sent in first.inputs}
    assert {names[sha256] for sha256 in again.asked} == {str(adapter), job.digest}


def test_what_arrives_damaged_or_not_at_all_is_a_lost_attempt(tmp_path: Path, seen: list[dict[str, Any]]) -> None:
    base = policy(tmp_path / "base")
    whole = order(evaluation(base), tmp_path / "jobs", tmp_path / "node")
    [sent] = whole.inputs
    parcel = replace(sent.parcel, parts=(sent.parcel.parts[0][:700],))
    half = replace(whole, inputs=(replace(sent, parcel=parcel),))
    [event] = carry_out(half, "n1", IN_HAND)
    assert isinstance(event, Lost)
    assert event.why.startswith(f"{base} did not arrive on node n1: ")

    class Gone(InHand):
        def fetch(self, parcel: Parcel) -> Iterator[bytes]:
            raise ParcelDamaged("the object is gone\nand more")

    [event] = carry_out(whole, "n1", Gone())
    assert event == Lost(f"{base} did not arrive on node n1: the object is gone")
    assert not seen
    assert isinstance(list(carry_out(whole, "n1", IN_HAND))[-1], Ended)


def test_a_node_with_other_packages_or_a_weaker_sandbox_is_refused_by_name(
    tmp_path: Path, seen: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = TrainJob.of(training_run(tmp_path / "hub", Member(name="counts", code=COUNTS_SO)))
    other = order(job, tmp_path, tmp_path / "node", versions={**versions(), "torch": "1.0"})
    [event] = carry_out(other, "10.0.0.7 (abc)", IN_HAND)
    assert isinstance(event, Refused)
    assert event.why.startswith("node 10.0.0.7 (abc) has torch ")
    assert event.why.endswith("the driver 1.0: install the same there")
    assert unfit(job, {**versions(), "torch": f"{versions()['torch'].partition('+')[0]}+cu999"}) is None

    def weak(settings: Any) -> None:
        raise SandboxUnavailable("the sandbox of this machine reaches level basic")

    monkeypatch.setattr(node, "require_strength", weak)
    [event] = carry_out(order(job, tmp_path, tmp_path / "node"), "n2", IN_HAND)
    assert event == Refused("n2", "node n2 cannot run rewards: the sandbox of this machine reaches level basic")
    # Who runs no code of others needs no sandbox.
    assert unfit(TrainJob.of(training_run(tmp_path / "hub")), versions()) is None
    assert not seen


def test_what_is_being_removed_by_its_own_attempt_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock is gone before its folder is."""
    ending = tmp_path / "attempts" / "ending"
    (ending / "job").mkdir(parents=True)
    remove = shutil.rmtree

    def removed_twice(path: Path, **options: Any) -> None:
        remove(path, **options)
        if path == ending:
            remove(path, **options)

    monkeypatch.setattr(node.shutil, "rmtree", removed_twice)
    with node._attempt(str(tmp_path)) as attempt:
        assert list((tmp_path / "attempts").iterdir()) == [attempt]


def test_what_killed_attempts_left_is_removed_and_what_runs_is_not(tmp_path: Path, seen: list[dict[str, Any]]) -> None:
    one = order(evaluation(tmp_path / "hub"), tmp_path, tmp_path / "node")
    running = carry_out(one, "n1", IN_HAND)
    assert isinstance(next(running), Progress)
    [mine] = (tmp_path / "node" / "attempts").iterdir()
    killed = tmp_path / "node" / "attempts" / "killed"
    policy(killed / "digest")
    assert isinstance(list(carry_out(one, "n1", IN_HAND))[-1], Ended)
    assert list((tmp_path / "node" / "attempts").iterdir()) == [mine]
    assert isinstance(list(running)[-1], Ended)


def test_the_job_sees_neither_the_node_s_secrets_nor_a_gpu_that_it_did_not_ask_for(
    tmp_path: Path, seen: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "canary")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    for gpus in (0.0, 1.0):
        list(carry_out(order(evaluation(tmp_path / "hub"), tmp_path, tmp_path / "node", gpus=gpus), "n", IN_HAND))
    without, with_gpu = (item["environment"] for item in seen)
    assert "canary" not in json.dumps([without, with_gpu])
    assert (without["CUDA_VISIBLE_DEVICES"], with_gpu["CUDA_VISIBLE_DEVICES"]) == ("", "3")


def test_closing_stops_the_job_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    pids = []

    def start(job: Job, folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        folder.mkdir()
        started = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, start_new_session=True)
        assert started.stdout is not None
        pids.extend([started.pid, int(started.stdout.readline())])
        (folder / "steps").write_text("3")
        (folder / "log.txt").write_text("step 3")
        return started

    monkeypatch.setattr(node, "start_job", start)
    events = carry_out(order(evaluation(tmp_path / "hub"), tmp_path, tmp_path / "node"), "n", IN_HAND)
    assert [next(events), next(events)] == [Progress("n"), Progress("n", 3, b"step 3")]
    assert all(alive(pid) for pid in pids)
    events.close()  # type: ignore[attr-defined]
    wait_for(lambda: not any(alive(pid) for pid in pids), 10)
    assert list((tmp_path / "node" / "attempts").iterdir()) == []


def test_past_its_limit_a_job_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(job: Job, folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        folder.mkdir()
        return subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], start_new_session=True)

    monkeypatch.setattr(node, "start_job", start)
    job = evaluation(tmp_path / "hub")
    before = time.monotonic()
    last = list(carry_out(order(job, tmp_path, tmp_path / "node", timeout=0.3), "n", IN_HAND))[-1]
    assert isinstance(last, Ended)
    assert last.code is None
    assert time.monotonic() - before < 30


@pytest.mark.slow
def test_a_job_whose_files_lie_elsewhere_comes_to_the_same(tmp_path: Path) -> None:
    """Its policy and its adapter are gone from where the description names them."""
    base = write_policy(tmp_path / "base")
    run = training_run(base, Member(name="counts", code=COUNTS_SO))
    jobs = tmp_path / "jobs"
    training = TrainJob.of(run)
    [trained] = LocalExecutor().run([training], jobs)
    adapter = jobs / training.digest / "members" / run.digest / "adapter"
    asked = evaluation(base, adapters=(None, str(adapter)))
    [answered] = LocalExecutor().run([asked], jobs)
    orders = [order(training, tmp_path / "none", tmp_path / "node"), order(asked, tmp_path / "none", tmp_path / "node")]
    (tmp_path / "base").rename(tmp_path / "moved")
    adapter.rename(tmp_path / "moved adapter")
    for one, done in zip(orders, (trained, answered), strict=True):
        events = list(carry_out(one, "n", IN_HAND))
        assert isinstance(events[-1], Ended)
        back = tmp_path / "back" / done.job.digest
        unpack([event.content for event in events if isinstance(event, Part)], events[-1].sha256, back)
        result = type(done.result).model_validate_json((back / RESULT_FILE).read_text())
        if isinstance(one, Order) and one.kind == "evaluate":
            assert result.predictions == done.result.predictions
        else:
            assert [member.sha256 for member in result.members] == [member.sha256 for member in done.result.members]
            assert [member.curves for member in result.members]
