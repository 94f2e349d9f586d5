"""A cluster of two nodes on this machine: the leaderboard is that of here, whatever is killed, and nothing is left."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest

from rewards_generated.errors import UserError
from search.executors import ray as ray_executor
from search.executors.base import build_executor
from search.executors.conformance import check_executor
from search.executors.endings import Endings, name_search
from search.executors.ray import RayExecutor
from search.store.base import Sent
from search.store.inputs import Input
from search.store.url_store import UrlStore
from search.watch.jobs import running_jobs
from tests.search.executors.instant_on_ray import InstantOnRay
from tests.search.executors.test_local import alive, wait_for
from tests.search.searches import run_search
from trainer.jobs.evaluate import EvaluateJob, EvaluateResult
from trainer.jobs.settings import Hardware

CANARY = "canary-4711-secret"
NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


@contextmanager
def ray_cluster(node: dict[str, Any], *packages: str) -> Iterator[Any]:
    """Of one node on this machine, where Python looks into `packages` first."""
    import ray
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([*packages, *filter(None, sys.path)]))
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        found = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        yield found
        ray.shutdown()
        found.shutdown()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with ray_cluster(NODE) as found, pytest.MonkeyPatch.context() as patch:
        found.add_node(**NODE)
        patch.setenv("OPENAI_API_KEY", CANARY)
        yield found


@pytest.fixture
def build(cluster: Any) -> Callable[..., InstantOnRay]:
    return lambda **options: InstantOnRay(address=cluster.address, **options)


def job(label: str = "plain", questions: int = 4, **changes: Any) -> EvaluateJob:
    task = {"name": "testbed", "options": {"train": 8, "validation": 8, "test": 8}}
    suites = {"questions": {"task": task, "split": "validation", "questions": questions}}
    fields = {
        "label": label,
        "base_model": "testbed",
        "suites": suites,
        "max_completion_tokens": 8,
        "hardware": {"device": "cpu"},
        **changes,
    }
    return EvaluateJob.model_validate(fields)


def children(folder: Path) -> list[psutil.Process]:
    """The processes of the jobs for which nodes keep what they need in the folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(part.startswith(str(folder)) for part in process.info["cmdline"] or ()) and alive(process.pid):
            found.append(process)
    return found


def log_files() -> list[Path]:
    import ray

    return [path for path in Path(ray._private.worker._global_node.get_session_dir_path()).rglob("*") if path.is_file()]


def bytes_in_store() -> float:
    import ray

    total, free = ray.cluster_resources(), ray.available_resources()
    return total["object_store_memory"] - free["object_store_memory"]


def noise(size: int) -> bytes:
    return os.urandom(size)


def another_node(address: str) -> subprocess.Popen[bytes]:
    size = str(NODE["object_store_memory"])
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={address}", "--block", "--num-cpus=1"]
    return subprocess.Popen([*command, f"--object-store-memory={size}"], stdout=subprocess.DEVNULL)


@pytest.mark.ray
def test_results_come_back_failures_are_told_with_their_node_and_no_secret_goes_along(
    build: Callable[..., InstantOnRay], tmp_path: Path
) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "policy.json").write_text(json.dumps(["code", 1.0]))
    good, bad = job("environment", adapters=(None, str(adapter))), job("exit 3", questions=5)
    ended = {done.job.label: done for done in build(parallel_jobs=2).run([good, bad], tmp_path / "jobs")}
    answers: EvaluateResult = ended["environment"].result
    assert answers.failure is None
    assert all(prediction.correct for prediction in answers.predictions[1]["questions"])
    failure = ended["exit 3"].result
    assert failure.owner == "process"
    assert "the job ended with exit code 3 on node " in failure.failure
    assert failure.failure.endswith("and left no result; its log ends with: the last words of this job")
    environment = json.loads((ended["environment"].folder / "environment").read_text())
    assert CANARY not in json.dumps(environment)
    assert not [name for name in environment if name.startswith("RAY_")]
    assert environment["OMP_NUM_THREADS"] == "1"
    assert not any(CANARY.encode() in path.read_bytes() for path in log_files())
    [again] = build().run([good], tmp_path / "jobs")
    assert again.result == answers


@pytest.mark.ray
def test_through_a_store_results_outlast_the_driver_and_its_folder(
    build: Callable[..., InstantOnRay],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "config.json").write_text("{}")
    options = {"store": f"file://{tmp_path}/store", "node_folder": str(tmp_path / "node")}
    jobs = [
        job("environment", base_model=str(policy)),
        job("plain", questions=5, base_model=str(policy)),
        job("exit 3", questions=6),
    ]
    name_search(tmp_path / "jobs", "7" * 32)
    shutil.copytree(tmp_path / "jobs", tmp_path / "moved")
    ended = {done.job.label: done for done in build(**options, parallel_jobs=2).run(jobs, tmp_path / "jobs")}
    assert [ended[asked.label].result.failure for asked in jobs[:2]] == [None, None]
    assert "the job ended with exit code 3 on node " in ended["exit 3"].result.failure
    environment = json.loads((ended["environment"].folder / "environment").read_text())
    assert CANARY not in json.dumps(environment)
    assert not any(CANARY.encode() in path.read_bytes() for path in log_files())
    # Another driver, with a copy of the folder from before anything had ended; one result has been altered meanwhile.
    [ending] = [found for found in [Endings(UrlStore(options["store"]), "7" * 32).of(jobs[1].digest)] if found]
    parcel = tmp_path / "store" / "parcels" / (ending.sha256 or "")
    parcel.write_bytes(parcel.read_bytes()[:-600])
    another = build(**options)
    submitted: list[str] = []
    real = another._submit
    monkeypatch.setattr(another, "_submit", lambda asked, folder: (submitted.append(asked.label), real(asked, folder)))
    again = {done.job.label: done for done in another.run(jobs[:2], tmp_path / "moved")}
    assert submitted == ["plain"]
    assert again["environment"].result == ended["environment"].result
    assert again["plain"].result.predictions == ended["plain"].result.predictions
    assert "plain runs again: what it left in the store is not whole" in caplog.text
    # The policy was sent to the store once, and came to this machine once.
    assert len([path for path in (tmp_path / "node" / "content").iterdir() if path.is_dir()]) == 1


@pytest.mark.ray
def test_closing_stops_what_runs_and_all_that_it_started(build: Callable[..., InstantOnRay], tmp_path: Path) -> None:
    import ray

    executor = build(node_folder=str(tmp_path / "node"))
    ended = executor.run([job("sleeps"), job("plain", questions=5)], tmp_path / "jobs")
    assert next(iter(ended)).job.label == "plain"

    def seven_steps() -> bool:
        """Hears what the tasks have to tell meanwhile, as `run` does while it waits."""
        for task in ray.wait(list(executor._running), num_returns=1, timeout=1)[0]:
            executor._hear(task, executor._running[task])
        return executor.steps_in_progress() == 7

    wait_for(seven_steps, 120)
    [live] = running_jobs(tmp_path / "jobs")
    assert (live.label, live.steps) == ("sleeps", 7)
    found = children(tmp_path / "node")
    family = [*found, *(child for process in found for child in process.children())]
    assert len(family) == 2
    ended.close()  # type: ignore[attr-defined]
    assert not any(alive(process.pid) for process in family)
    assert executor.steps_in_progress() == 0
    [rest] = build().run([job("plain", questions=6)], tmp_path / "jobs")
    assert rest.result.failure is None


@pytest.mark.ray
def test_an_object_that_vanishes_with_its_node_is_one_sentence_and_sent_anew(
    cluster: Any, build: Callable[..., InstantOnRay], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "config.json").write_bytes(os.urandom(2**20))
    executor, wanted = build(), job("plain", base_model=str(policy))
    third = cluster.add_node(**NODE, resources={"third": 1})
    there = ray.remote(resources={"third": 1}, num_cpus=0, max_retries=0)(noise).remote(2**20)
    ray.wait([there], fetch_local=False)
    wait_for(lambda: bytes_in_store() > 2**19, 60)
    cluster.remove_node(third, allow_graceful=False)
    wait_for(lambda: sum(node["Alive"] for node in ray.nodes()) == 2, 120)
    sender = executor._sender
    real = sender.send

    def gone(given: Input) -> Sent:
        sent = real(given)
        return Sent(given, replace(sent.parcel, parts=(there,)))

    monkeypatch.setattr(sender, "send", gone)
    [lost] = executor.run([wanted], tmp_path / "jobs")
    assert lost.result.owner == "process"
    assert f"{policy} did not arrive on node " in lost.result.failure
    monkeypatch.setattr(sender, "send", real)
    [done] = executor.run([wanted], tmp_path / "jobs")
    assert done.result.failure is None


@pytest.mark.ray
def test_nodes_with_other_packages_are_refused_by_name(
    build: Callable[..., InstantOnRay],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(ray_executor, "versions", lambda: {"torch": "1.0"})
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(UserError, match=r"no node .* may run the jobs: node [\d.]+ \(\w+\) has torch .*; node"),
    ):
        list(build().run([job(questions=2), job(questions=3)], tmp_path / "jobs"))
    assert len([record for record in caplog.records if "it gets no jobs" in record.message]) == 2


@pytest.mark.ray
def test_a_job_that_no_node_has_room_for_is_refused_before_anything_runs(
    build: Callable[..., InstantOnRay], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"has what a job asks for: 64 CPUs \(hardware.threads\); ask for less"):
        list(build().run([job(hardware={"device": "cpu", "threads": 64})], tmp_path))
    with pytest.raises(UserError, match=r"1 CPUs \(hardware.threads\), 1 GPU;"):
        list(build().run([job(hardware={"device": "cuda"})], tmp_path))
    with pytest.raises(UserError, match=r"100000 GiB;"):
        list(build(memory_gib_per_job=100_000).run([job()], tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ray
def test_capacity_is_asked_of_the_nodes(build: Callable[..., InstantOnRay]) -> None:
    whole = build().capacity(Hardware(device="cpu"))
    assert (whole.jobs, whole.device) == (2, "cpu")
    assert 2**27 < whole.memory < 2**50
    assert build(parallel_jobs=1).capacity(Hardware(device="cpu")).jobs == 1


@pytest.mark.ray
def test_a_search_comes_to_the_local_leaderboard_whatever_is_killed(
    cluster: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A worker and a node are killed and a node is added while jobs run there."""
    code, alone = run_search(tmp_path, name="alone")
    assert code == 0
    nodes = tmp_path / "node"
    added: list[subprocess.Popen[bytes]] = []

    def mischief() -> None:
        wait_for(lambda: children(nodes), 600)
        os.kill(children(nodes)[0].ppid(), signal.SIGKILL)
        [second] = cluster.worker_nodes
        raylet = second.all_processes["raylet"][0].process.pid
        on_second: list[psutil.Process] = []

        def running_there() -> bool:
            on_second[:] = [item for item in children(nodes) if raylet in {parent.pid for parent in item.parents()}]
            return bool(on_second)

        wait_for(running_there, 600)
        os.kill(raylet, signal.SIGKILL)
        wait_for(lambda: not any(alive(item.pid) for item in on_second), 60)
        added.append(another_node(cluster.address))

    thread = Thread(target=mischief)
    thread.start()
    options = {"address": cluster.address, "node_folder": str(nodes)}
    executor = {"name": f"{InstantOnRay.__module__}:InstantOnRay", "options": options}
    code, run = run_search(tmp_path, name="spread", executor=executor)
    thread.join()
    for node in added:
        request.addfinalizer(node.terminate)
    assert code == 0
    assert len(added) == 1
    assert (run / "leaderboard.json").read_bytes() == (alone / "leaderboard.json").read_bytes()
    assert not children(nodes)
    wait_for(lambda: bytes_in_store() == 0, 60)
    assert list((nodes / "attempts").iterdir()) == []
    assert not any(CANARY.encode() in path.read_bytes() for path in log_files())


@pytest.mark.ray
def test_it_keeps_the_contract_of_executors(build: Callable[..., InstantOnRay]) -> None:
    check_executor(build)


@pytest.mark.ray
@pytest.mark.slow
def test_it_does_all_that_an_executor_has_to_do(cluster: Any) -> None:
    check_executor(lambda **options: RayExecutor(address=cluster.address, **options))


def test_without_the_package_and_with_bad_options_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_executor, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs the package ray: pip install 'reward-search\[ray\]'"):
        build_executor("ray")
    for options, sentence in (
        ({"parallel_jobs": 0}, "parallel_jobs = 0 must be at least 1"),
        ({"gpus_per_job": -1}, r"options\.gpus_per_job = -1 must be 0 or more"),
        ({"gpus_per_job": 1.5}, r"gpus_per_job = 1\.5: give a part of one, or a whole number"),
        ({"memory_gib_per_job": -2}, r"options\.memory_gib_per_job = -2 must be 0 or more"),
        ({"adress": "auto"}, "did you mean 'address'"),
        ({"store": "s3:/bucket"}, r"options\.store = 's3:/bucket': write file:///FOLDER"),
    ):
        with pytest.raises(UserError, match=sentence):
            build_executor("ray", **options)
    monkeypatch.setattr(ray_executor, "find_spec", lambda name: object())
    for address, sentence in (
        ("ray://head:10001", "the driver has to run on a node of the cluster"),
        ("head", "give HOST:PORT, or `auto`"),
        ("127.0.0.1:9", r"'127\.0\.0\.1:9': nothing answers there \(Connection refused\)"),
    ):
        with pytest.raises(UserError, match=sentence):
            build_executor("ray", address=address)
