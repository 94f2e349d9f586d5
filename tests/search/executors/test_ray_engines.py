"""Jobs that share a server on a Ray cluster of this machine: nothing is lost with it, and nothing outlives the driver.

What stands in for vLLM's server is started by the same code, and asked by jobs as they are.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import psutil
import pytest

from eval.engines.vllm_served import WARM
from eval.engines.vllm_server import ServerClient
from rewards_generated.errors import UserError
from search.executors.ray import RayExecutor
from search.jobs.dispatch import run_jobs
from tests.eval.engines.test_vllm_server import write_adapter
from tests.search.executors.instant_on_ray import InstantOnRay
from tests.search.executors.stand_in_vllm import VERSION, lay_out, servers
from tests.search.executors.test_local import alive, wait_for
from tests.search.executors.test_ray import CANARY, job, ray_cluster
from tests.search.searches import run_search
from trainer.jobs.evaluate import EvaluateJob

MEMORY = {"object_store_memory": 100 * 2**20}
START = {"name": "vllm", "options": {"server": "start"}}
VLLM = {**START, "version": VERSION}


class Place(NamedTuple):
    cluster: Any
    stand_in: Path

    def server(self) -> psutil.Process:
        [found] = servers(self.stand_in)
        return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    stand_in = tmp_path_factory.mktemp("stand-in")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", CANARY)
        with ray_cluster({"num_cpus": 2, **MEMORY}, lay_out(stand_in)) as cluster:
            yield Place(cluster, stand_in)


@pytest.fixture(autouse=True)
def quick(place: Place) -> Iterator[None]:
    yield
    for left in ("slow", "asked"):
        (place.stand_in / left).unlink(missing_ok=True)
    gc.collect()
    wait_for(lambda: not servers(place.stand_in))


def asking(questions: int = 2, **changes: Any) -> EvaluateJob:
    return job(**{"label": "asks", "questions": questions, "engine": VLLM, **changes})


@pytest.mark.ray
def test_jobs_of_a_policy_are_served_by_one_server_which_ends_with_their_executor(place: Place, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter")
    jobs = [asking(), asking(3, adapters=(None, adapter))]
    alone = {done.job.digest: done for done in RayExecutor(address=place.cluster.address).run(jobs, tmp_path / "alone")}
    executor = RayExecutor(address=place.cluster.address, warm_engine=True, node_folder=str(tmp_path / "node"))
    seen = []
    for asked in jobs:
        [done] = executor.run([asked], tmp_path / "jobs")
        assert done.result.failure is None
        assert done.result.predictions == alone[asked.digest].result.predictions
        seen.append(place.server())
        assert not (done.folder / "vllm.txt").exists()
    assert seen[0] == seen[1]
    assert CANARY not in seen[0].environ().values()
    socket = next(part for part in seen[0].cmdline() if part.startswith("--uds=")).removeprefix("--uds=")
    assert [model["id"] for model in ServerClient(socket).ask("/v1/models")["data"]] == ["base"]
    assert [path.name for path in (tmp_path / "node" / "engines").rglob("*.txt")] == ["vllm.txt"]
    # Of another precision it is another server, in the first one's place.
    [done] = executor.run([asking(hardware={"device": "cpu", "dtype": "bfloat16"})], tmp_path / "jobs")
    assert done.result.failure is None
    wait_for(lambda: not alive(seen[0].pid))
    assert "--dtype=bfloat16" in place.server().cmdline()
    del executor
    gc.collect()
    wait_for(lambda: not servers(place.stand_in))


@pytest.mark.ray
@pytest.mark.parametrize("killed", ["server", "actor"])
def test_a_job_whose_server_is_killed_runs_again_with_a_fresh_one(place: Place, tmp_path: Path, killed: str) -> None:
    executor = RayExecutor(address=place.cluster.address, warm_engine=True)
    first, second = asking(), asking(3)
    [done] = executor.run([first], tmp_path / "jobs")
    seen = [place.server()]
    os.kill(seen[0].pid if killed == "server" else seen[0].ppid(), signal.SIGKILL)  # between two jobs
    wait_for(lambda: not alive(seen[0].pid))
    (place.stand_in / "slow").touch()

    def mischief() -> None:
        wait_for((place.stand_in / "asked").exists, 120)
        seen.append(place.server())
        os.kill(seen[1].pid if killed == "server" else seen[1].ppid(), signal.SIGKILL)
        (place.stand_in / "slow").unlink()

    thread = Thread(target=mischief)
    thread.start()
    lost: list[Any] = []
    [done] = run_jobs(executor, [second], tmp_path / "jobs", lost=lost.append)
    thread.join()
    assert done.result.failure is None
    assert lost == [second]
    assert len({*seen, place.server()}) == 3


@pytest.mark.ray
def test_a_node_that_dies_takes_its_engine_along_and_loses_no_job(place: Place, tmp_path: Path) -> None:
    second = place.cluster.add_node(num_cpus=2, **MEMORY)
    raylet = second.all_processes["raylet"][0].process.pid
    executor = InstantOnRay(address=place.cluster.address, warm_engine=True)
    there: list[psutil.Process] = []

    def mischief() -> None:
        def running() -> bool:
            there[:] = [found for found in servers(place.stand_in) if raylet in {up.pid for up in found.parents()}]
            return bool(there)

        wait_for(running, 120)
        os.kill(raylet, signal.SIGKILL)

    thread = Thread(target=mischief)
    thread.start()
    jobs = [asking(questions, label="pause 6") for questions in range(2, 7)]
    ended = list(run_jobs(executor, jobs, tmp_path / "jobs"))
    thread.join()
    place.cluster.remove_node(second)
    assert [done.result.failure for done in ended] == [None] * 5
    wait_for(lambda: not alive(there[0].pid))
    assert place.server().is_running()


@pytest.mark.ray
@pytest.mark.parametrize(
    "ending", ["", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "raise KeyboardInterrupt"]
)
def test_no_server_outlives_the_driver(place: Place, tmp_path: Path, ending: str) -> None:
    program = "\n".join(
        [
            "from pathlib import Path",
            "from search.executors.ray import RayExecutor",
            "from trainer.jobs.evaluate import EvaluateJob",
            f"executor = RayExecutor(address={place.cluster.address!r}, warm_engine=True)",
            f"asked = EvaluateJob.model_validate_json({asking().model_dump_json()!r})",
            f"[done] = executor.run([asked], Path({str(tmp_path)!r}))",
            "assert done.result.failure is None, done.result.failure",
            "print('ready', flush=True)",
            "input()",
            ending,
        ]
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, stderr=-3, text=True) as driver:
        assert driver.stdout
        assert "ready" in driver.stdout.readline()
        server = place.server()
        keeper = server.ppid()
        driver.communicate("\n")
    wait_for(lambda: not alive(server.pid) and not alive(keeper))


@pytest.mark.ray
def test_jobs_of_two_policies_take_turns(place: Place, tmp_path: Path) -> None:
    kinds: list[Any] = [{"device": "cpu", "dtype": dtype} for dtype in ("float32", "bfloat16")]
    jobs = [asking(questions, label="environment", hardware=kinds[questions % 2]) for questions in (2, 3, 4)]
    executor = InstantOnRay(address=place.cluster.address, warm_engine=True)
    ended = list(executor.run(jobs, tmp_path / "jobs"))
    assert [done.job.hardware.dtype for done in ended] == ["float32", "float32", "bfloat16"]
    told = [json.loads((done.folder / "environment").read_text())[WARM] for done in ended]
    assert told[0] == told[1] != told[2]
    wait_for(lambda: "--dtype=bfloat16" in place.server().cmdline())


@pytest.mark.ray
def test_a_search_comes_to_the_same_leaderboard_and_leaves_no_server(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(place.stand_in))
    boards, seen = [], set()

    def mischief() -> None:
        wait_for(lambda: servers(place.stand_in), 120)
        server = place.server()
        seen.add(server)
        server.kill()
        wait_for(lambda: set(servers(place.stand_in)) - seen, 120)
        seen.add(place.server())

    for warm in (False, True):
        options = {"address": place.cluster.address, "warm_engine": warm}
        executor = {"name": f"{InstantOnRay.__module__}:InstantOnRay", "options": options}
        thread = Thread(target=mischief)
        if warm:
            thread.start()
        code, run = run_search(tmp_path, name=str(warm), executor=executor, engine=START)
        assert code == 0
        boards.append((run / "leaderboard.json").read_bytes())
    thread.join()
    assert boards[0] == boards[1]
    assert len(seen) == 2
    gc.collect()
    wait_for(lambda: not servers(place.stand_in))


@pytest.mark.ray
def test_a_server_that_cannot_start_ends_the_search_with_what_it_said(place: Place, tmp_path: Path) -> None:
    executor = RayExecutor(address=place.cluster.address, warm_engine=True)
    module = place.stand_in / "vllm" / "entrypoints" / "openai" / "api_server.py"
    whole = module.read_text()
    module.write_text("raise ValueError('no room')")
    try:
        with pytest.raises(UserError, match=r"node .*: the vLLM server of a job ended with exit code 1 .* no room"):
            list(executor.run([asking()], tmp_path / "jobs"))
    finally:
        module.write_text(whole)


@pytest.mark.ray
def test_engine_and_jobs_share_what_a_node_has(place: Place, tmp_path: Path) -> None:
    """Of a GPU that Ray believes to be there."""
    import ray

    def build(**options: Any) -> InstantOnRay:
        return InstantOnRay(address=place.cluster.address, warm_engine=True, **options)

    node = place.cluster.add_node(num_cpus=2, num_gpus=1, **MEMORY)
    try:
        cuda = {"device": "cuda"}
        with pytest.raises(UserError, match=r"1 CPUs \(hardware\.threads\), 1 GPU, beside 0\.4 GPU for a warm engine"):
            list(build(gpus_per_job=1).run([asking(hardware=cuda)], tmp_path))
        executor = build()
        jobs = [asking(questions, label="environment pause 2", hardware=cuda) for questions in (2, 3)]
        together = []
        ended = executor.run(jobs, tmp_path / "jobs")
        for done in ended:
            assert done.result.failure is None
            environment = json.loads((done.folder / "environment").read_text())
            assert environment["CUDA_VISIBLE_DEVICES"] == "0"
            assert json.loads(environment[WARM])["served"]["rank"] == 32
            assert CANARY not in environment.values()
            together.append(len(executor._running))
        assert together == [0, 0]
        flags = place.server().cmdline()
        assert "--gpu-memory-utilization=0.4" in flags
        assert "--max-loras=8" in flags
        wait_for(lambda: ray.available_resources().get("GPU") == 0.6)
        del executor, ended
        gc.collect()
        wait_for(lambda: ray.available_resources().get("GPU") == 1)
    finally:
        place.cluster.remove_node(node)
