"""The executor of Slurm: what it refuses, what it submits; on a real queue results, cancelling, resuming."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from rewards_generated.errors import UserError
from search.cli import main
from search.executors import on_node
from search.executors import slurm as slurm_executor
from search.executors.base import build_executor
from search.executors.conformance import check_executor
from search.executors.endings import Endings, name_search
from search.executors.hand_over import SUBMITTED_FILE
from search.executors.on_node import JobOnNode
from search.executors.slurm import SlurmExecutor
from search.store.base import Parcel
from tests.search.bucket_servers import SECRET
from tests.search.executors.shell_jobs import start_shell
from tests.search.executors.small_slurm import missing, small_slurm
from tests.search.executors.test_local import wait_for
from tests.search.searches import run_search, write_config
from trainer.jobs.evaluate import EvaluateJob, EvaluateResult
from trainer.jobs.folder import JOB_FILE, RESULT_FILE, kept_result, read_result, versions, write_model
from trainer.jobs.settings import Hardware

CANARY = "canary-4711-secret"


def job(label: str = "plain", questions: int = 4) -> EvaluateJob:
    task = {"name": "testbed", "options": {"train": 8, "validation": 8, "test": 8}}
    return EvaluateJob.model_validate(
        {
            "label": label,
            "base_model": "testbed",
            "suites": {"questions": {"task": task, "split": "validation", "questions": questions}},
            "max_completion_tokens": 8,
            "hardware": {"device": "cpu"},
        }
    )


# What it refuses and asks for, without a queue


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if submitit were."""
    monkeypatch.setattr(slurm_executor, "find_spec", lambda name: importlib.util.find_spec("json"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cluster": "slrum"}, "'slrum': did you mean 'slurm'"),
        ({"time_minutes": 0}, "time_minutes = 0 must be at least 2"),
        ({"poll_seconds": 0}, "poll_seconds = 0"),
        ({"gpus_per_job": -1}, "gpus_per_job = -1"),
        ({"sbatch": {"export": "ALL"}}, "names 'export', which this executor sets itself"),
        ({"sbatch": {"gpus_per_node": 2}}, "'gpus-per-node'"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], said: str, installed: None) -> None:
    with pytest.raises(UserError, match=said):
        build_executor("slurm", parallel_jobs=1, job_timeout_seconds=None, **{"cluster": "local", **options})


def test_without_submitit_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_executor, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"reward-search\[slurm\]"):
        SlurmExecutor(cluster="local")


def test_without_slurm_it_says_so(monkeypatch: pytest.MonkeyPatch, installed: None) -> None:
    monkeypatch.setattr(slurm_executor.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="no `sbatch` on this machine"):
        SlurmExecutor()


def test_a_store_that_cannot_be_had_is_refused(installed: None, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="node_folder is for jobs that come through a store"):
        SlurmExecutor(cluster="local", node_folder="/local")
    with pytest.raises(UserError, match=r"executor\.options\.store = 'here': write file:///FOLDER"):
        SlurmExecutor(cluster="local", store="here")
    with pytest.raises(UserError, match="cannot be used: Not a directory"):
        SlurmExecutor(cluster="local", store=f"file://{tmp_path}/file/store")


def test_packs_are_planned_by_what_the_options_say(installed: None) -> None:
    executor = SlurmExecutor(cluster="local", parallel_jobs=8, memory_gib=16)
    assert executor.capacity(Hardware(device="cpu")) == (8, "cpu", 16 * 2**30)
    with pytest.raises(UserError, match="gpu_memory_gib"):
        executor.capacity(Hardware(device="cuda"))
    assert SlurmExecutor(cluster="local", gpu_memory_gib=80).capacity(Hardware(device="cuda")).device == "cuda"


def test_a_node_is_told_of_the_environment_what_a_job_may_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("HF_HUB_CACHE", "/shared/it's here")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    lines = slurm_executor._exports()
    assert not any(CANARY in line or "CUDA_VISIBLE_DEVICES" in line for line in lines)
    [line] = [line for line in lines if "HF_HUB_CACHE" in line]
    shown = subprocess.run(["sh", "-c", f'{line}; printf %s "$HF_HUB_CACHE"'], capture_output=True, text=True)
    assert shown.stdout == "/shared/it's here"


# On the node


def prepared(folder: Path, label: str = "plain", wanted: dict[str, str] | None = None, timeout: float | None = None):
    asked = job(label)
    place = folder / asked.digest
    place.mkdir(parents=True)
    write_model(place / JOB_FILE, asked)
    return asked, place, JobOnNode(place, timeout, wanted or {})


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Starts `sh` in place of a job's process; the list holds a number for every start."""
    started: list[int] = []

    def start(asked: EvaluateJob, folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        found = start_shell(asked, folder)
        started.append(found.pid)
        return found

    monkeypatch.setattr(on_node, "start_job", start)
    return started


def test_a_job_that_has_its_result_is_not_run_again(tmp_path: Path, process: list[int]) -> None:
    asked, place, on = prepared(tmp_path)
    on()
    on()
    assert len(process) == 1
    assert kept_result(place, asked.digest, EvaluateResult) is not None


def test_what_killed_a_job_is_written_down_where_it_ran(tmp_path: Path, process: list[int]) -> None:
    asked, place, on = prepared(tmp_path, "crash")
    on()
    result = read_result(place, asked.digest, EvaluateResult)
    assert result is not None
    assert result.owner == "process"
    assert "was killed by SIGKILL on node " in (result.failure or "")


def test_a_job_that_slurm_told_to_end_leaves_no_result(tmp_path: Path, process: list[int]) -> None:
    asked, place, on = prepared(tmp_path, "told")
    on()
    assert len(process) == 1
    assert read_result(place, asked.digest, EvaluateResult) is None


def test_a_job_past_its_limit_is_stopped_and_is_the_candidate_s_failure(tmp_path: Path, process: list[int]) -> None:
    asked, place, on = prepared(tmp_path, "slow", timeout=0.2)
    on()
    result = read_result(place, asked.digest, EvaluateResult)
    assert result is not None
    assert result.owner == "candidate"
    assert not psutil.pid_exists(process[0])


def test_a_node_of_other_versions_runs_nothing(tmp_path: Path, process: list[int]) -> None:
    asked, place, on = prepared(tmp_path, wanted={**versions(), "torch": "1.0"})
    on()
    result = read_result(place, asked.digest, EvaluateResult)
    assert result is not None
    assert result.owner == "setup"
    assert "the driver 1.0" in (result.failure or "")
    assert process == []


# The driver, with a queue that answers as it is told


class Told:
    """A queue of these numbers, the last for good; None: it does not answer. `then` happens before the last."""

    def __init__(self, *answers: set[str] | None, then: Callable[[], Any] = lambda: None) -> None:
        self.answers, self.then, self.cancelled = list(answers), then, list[str]()

    def number(self, submitted: str) -> str:
        return submitted

    def alive(self) -> set[str] | None:
        if len(self.answers) > 1:
            return self.answers.pop(0)
        self.then()
        return self.answers[0]

    def cancel(self, numbers: Any) -> None:
        self.cancelled += numbers


@pytest.fixture
def driver(installed: None, monkeypatch: pytest.MonkeyPatch) -> tuple[SlurmExecutor, list[str]]:
    """The executor, and the labels of what it submitted, under the number 5."""
    executor, submitted = SlurmExecutor(cluster="local", poll_seconds=0.01, parallel_jobs=9), list[str]()

    def submit(jobs: list[EvaluateJob], folder: Path, threads: int, gpus: int) -> None:
        for asked in jobs:
            submitted.append(asked.label)
            executor._running[asked.digest] = slurm_executor._Running(asked, folder / asked.digest, "5")

    monkeypatch.setattr(executor, "_submit_array", submit)
    return executor, submitted


def attached(folder: Path, number: str) -> Path:
    place = folder / job().digest
    place.mkdir(parents=True)
    (place / SUBMITTED_FILE).write_text(json.dumps({"cluster": "local", "number": number}))
    return place


def test_a_job_that_is_still_queued_is_waited_for_and_not_submitted_again(
    driver: tuple[SlurmExecutor, list[str]], tmp_path: Path
) -> None:
    executor, submitted = driver
    place = attached(tmp_path, "7")
    result = EvaluateResult(digest=job().digest)
    # Once it is not there, and once the queue does not answer: neither is taken for its end.
    executor._queue = Told({"7"}, set(), None, {"7"}, then=lambda: write_model(place / RESULT_FILE, result))
    ended = executor.run([job(), job("the same again")], tmp_path)
    assert [done.job.label for done in ended] == ["plain", "the same again"]
    assert submitted == []
    assert not (place / SUBMITTED_FILE).exists()


def test_a_job_that_left_the_queue_without_a_result_is_lost(
    driver: tuple[SlurmExecutor, list[str]], tmp_path: Path
) -> None:
    executor, submitted = driver
    executor._queue = Told(set())
    [done] = executor.run([job()], tmp_path)
    assert submitted == ["plain"]
    assert done.result.lost
    assert "left the queue (it was number 5)" in done.result.failure


def test_a_job_that_was_submitted_and_is_gone_is_submitted_again(
    driver: tuple[SlurmExecutor, list[str]], tmp_path: Path
) -> None:
    executor, submitted = driver
    attached(tmp_path, "7")
    executor._queue = Told({"1"})
    list(executor.run([job()], tmp_path))
    assert submitted == ["plain"]


def test_closing_cancels_what_was_submitted_and_what_was_waited_for(
    driver: tuple[SlurmExecutor, list[str]], tmp_path: Path
) -> None:
    executor, _ = driver
    place = attached(tmp_path, "7")
    other, finished = job("other", questions=5), job("finished", questions=6)
    (tmp_path / finished.digest).mkdir()
    write_model(tmp_path / finished.digest / RESULT_FILE, EvaluateResult(digest=finished.digest))
    queue = executor._queue = Told({"7"})
    ended = executor.run([job(), other, finished], tmp_path)
    assert next(ended).job.label == "finished"
    ended.close()
    assert sorted(queue.cancelled) == ["5", "7"]
    assert not (place / SUBMITTED_FILE).exists()


# On a real queue


@pytest.fixture(scope="module", params=["local", "slurm"])
def build(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    from tests.search.executors.instant_on_slurm import InstantOnSlurm

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        patch.setenv("OPENAI_API_KEY", CANARY)
        built = partial(InstantOnSlurm, cluster=request.param, poll_seconds=0.2)
        if request.param == "local":
            yield built
            return
        if lacking := missing():
            pytest.skip(f"no Slurm here: apt-get install slurmctld slurmd slurm-client munge ({lacking[0]} is missing)")
        if os.geteuid():
            pytest.skip("Slurm's daemons have to be started by root")
        with small_slurm(tmp_path_factory.mktemp("slurm") / "cluster") as configuration:
            patch.setenv("SLURM_CONF", str(configuration))
            yield built


def starts(place: Path) -> int:
    return len((place / "starts").read_text().splitlines())


def processes_of(folder: Path) -> list[psutil.Process]:
    """The job's own, and all that it started."""
    named = ["tests.search.instant_process", str(folder)]
    every = psutil.process_iter(["cmdline"])
    own = [process for process in every if set(named) <= set(process.info["cmdline"] or ())]
    return [found for process in own for found in (process, *process.children(recursive=True))]


@pytest.mark.slurm
def test_results_come_back_failures_are_told_and_no_secret_goes_along(
    build: Callable[..., SlurmExecutor], tmp_path: Path
) -> None:
    jobs = [job("environment"), job("exit 3", questions=5), job("plain", questions=6)]
    ended = {done.job.label: done for done in build(parallel_jobs=2).run(jobs, tmp_path / "jobs")}
    assert ended["plain"].result.failure is None
    assert "the job ended with exit code 3 on node " in ended["exit 3"].result.failure
    assert ended["exit 3"].result.failure.endswith("its log ends with: the last words of this job")
    environment = json.loads((ended["environment"].folder / "environment").read_text())
    assert CANARY not in json.dumps(environment)
    assert environment["OMP_NUM_THREADS"] == "1"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(CANARY.encode() in path.read_bytes() for path in files)
    [again] = build().run([jobs[2]], tmp_path / "jobs")
    assert again.result == ended["plain"].result
    assert starts(again.folder) == 1


@pytest.mark.slurm
def test_closing_cancels_everything(build: Callable[..., SlurmExecutor], tmp_path: Path) -> None:
    asked = job("sleeps")
    executor = build(parallel_jobs=2)
    ended = executor.run([asked, job("plain", questions=5)], tmp_path / "jobs")
    assert next(ended).job.label == "plain"
    wait_for(lambda: executor.steps_in_progress() == 7)
    place = tmp_path / "jobs" / asked.digest
    running = processes_of(place)
    assert len(running) == 2
    ended.close()  # type: ignore[attr-defined]
    wait_for(lambda: not any(process.is_running() for process in running), 30)
    assert not (place / SUBMITTED_FILE).exists()


@pytest.mark.slurm
def test_a_resumed_driver_waits_for_what_runs_and_runs_nothing_twice(
    build: Callable[..., SlurmExecutor], tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.search.executors.instant_on_slurm import InstantOnSlurm\n"
        "from tests.search.executors.test_slurm import job, waiting\n"
        f"executor = InstantOnSlurm(cluster={build.keywords['cluster']!r}, parallel_jobs=2, poll_seconds=0.2)\n"  # type: ignore[attr-defined]
        "list(executor.run(waiting(), Path(sys.argv[1])))"
    )
    folder = tmp_path / "jobs"
    first = subprocess.Popen([sys.executable, "-c", code, str(folder)])
    places = [folder / asked.digest for asked in waiting()]
    wait_for(lambda: all((place / "starts").is_file() for place in places), 120)
    first.send_signal(signal.SIGKILL)
    first.wait()
    time.sleep(1)
    ended = list(build(parallel_jobs=2).run(waiting(), folder))
    assert [done.result.failure for done in ended] == [None, None]
    assert [starts(place) for place in places] == [1, 1]


def waiting() -> list[EvaluateJob]:
    """Jobs that take long enough for a driver to be killed meanwhile."""
    return [job("pause 8", questions=4), job("pause 8", questions=5)]


# Through a store, of a driver's disk that no node sees


@pytest.fixture
def through(build: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    scripts = {"node_folder": str(tmp_path / "node"), "submission_folder": str(tmp_path / "scripts")}
    return partial(build, store=f"file://{tmp_path}/store", **scripts)


def starts_of(node: Path, asked: EvaluateJob) -> int:
    return len((node / f"starts-{asked.digest}").read_text().splitlines())


@pytest.mark.slurm
def test_through_a_store_results_come_back_and_no_secret_goes_along(
    through: Callable[..., SlurmExecutor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    here = job("environment").model_copy(update={"base_model": str(base)})
    jobs = [here, job("exit 3", questions=5), job("plain", questions=6)]
    ended = {done.job.label: done for done in through(parallel_jobs=2).run(jobs, tmp_path / "jobs")}
    assert ended["plain"].result.failure is None
    assert ended["environment"].result.failure is None
    assert "the job ended with exit code 3 on node " in ended["exit 3"].result.failure
    assert ended["exit 3"].result.failure.endswith("its log ends with: the last words of this job")
    environment = json.loads((ended["environment"].folder / "environment").read_text())
    assert CANARY not in json.dumps(environment)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(CANARY.encode() in path.read_bytes() for path in files)
    assert sorted((tmp_path / "store" / "submitted").rglob("*.*")) == []
    [again] = through().run([jobs[2]], tmp_path / "jobs")
    assert again.result == ended["plain"].result
    assert starts_of(tmp_path / "node", jobs[2]) == 1


@pytest.mark.store
def test_through_a_bucket_results_come_back_to_whichever_driver(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    from tests.search.executors.instant_on_slurm import InstantOnSlurm

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    options = {
        "store": f"{bucket}/x",
        "node_folder": str(tmp_path / "node"),
        "submission_folder": str(tmp_path / "scripts"),
    }
    asked = [job("environment"), job("plain", questions=5)]
    name_search(tmp_path / "jobs", "6" * 32)
    shutil.copytree(tmp_path / "jobs", tmp_path / "moved")
    for folder in ("jobs", "moved"):
        executor = InstantOnSlurm(cluster="local", poll_seconds=0.2, parallel_jobs=2, **options)  # type: ignore[arg-type]
        ended = list(executor.run(asked, tmp_path / folder))
        assert [done.result.failure for done in ended] == [None, None]
        assert all(kept_result(done.folder, done.job.digest, EvaluateResult) for done in ended)
    assert [starts_of(tmp_path / "node", item) for item in asked] == [1, 1]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in path.read_bytes() for path in files)


@pytest.mark.slurm
def test_a_driver_elsewhere_takes_over_what_ended_and_what_runs(
    through: Callable[..., SlurmExecutor], tmp_path: Path
) -> None:
    """The first is killed; the second has a copy of its folder from before anything was submitted."""
    folder = tmp_path / "jobs"
    code = (
        "import sys; from pathlib import Path; from tests.search.executors.instant_on_slurm import InstantOnSlurm\n"
        "from tests.search.executors.test_slurm import job, waiting\n"
        f"executor = InstantOnSlurm(parallel_jobs=3, **{through.keywords!r})\n"  # type: ignore[attr-defined]
        "list(executor.run([*waiting(), job()], Path(sys.argv[1])))"
    )
    name_search(folder, "6" * 32)
    shutil.copytree(folder, tmp_path / "moved")
    asked = [*waiting(), job(questions=4)]
    first = subprocess.Popen([sys.executable, "-c", code, str(folder)])
    wait_for(lambda: all((tmp_path / "node" / f"starts-{item.digest}").is_file() for item in asked), 120)
    wait_for(lambda: (tmp_path / "store" / "results" / ("6" * 32) / asked[2].digest).is_file(), 120)
    first.send_signal(signal.SIGKILL)
    first.wait()
    shutil.rmtree(folder)
    time.sleep(1)
    ended = list(through(parallel_jobs=3).run(asked, tmp_path / "moved"))
    assert [done.result.failure for done in ended] == [None, None, None]
    assert [starts_of(tmp_path / "node", item) for item in asked] == [1, 1, 1]
    assert all(kept_result(done.folder, done.job.digest, EvaluateResult) for done in ended)


@pytest.mark.slurm
def test_a_result_that_vanished_from_the_store_runs_again(
    through: Callable[..., SlurmExecutor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Endings.fetch
    harmed: list[str] = []

    def fetch(self: Endings, digest: str, parcel: str, place: Path) -> None:
        if not harmed:
            harmed.append(parcel)
            self.store.discard(Parcel(parcel))
        real(self, digest, parcel, place)

    monkeypatch.setattr(Endings, "fetch", fetch)
    executor = through(parallel_jobs=1)
    [lost] = executor.run([job()], tmp_path / "jobs")
    assert lost.result.lost
    assert "what it left did not come back whole: " in lost.result.failure
    [done] = executor.run([job()], tmp_path / "jobs")
    assert done.result.failure is None
    assert starts_of(tmp_path / "node", job()) == 2


@pytest.mark.slurm
def test_through_a_store_a_search_is_resumed_elsewhere_from_its_ledger_alone(
    through: Callable[..., SlurmExecutor], tmp_path: Path
) -> None:
    options = {**through.keywords, "poll_seconds": 0.2}  # type: ignore[attr-defined]
    executor = {"name": "tests.search.executors.instant_on_slurm:InstantOnSlurm", "options": options}
    code, alone = run_search(tmp_path, name="alone")
    assert code == 0
    config = write_config(tmp_path, executor={**executor, "parallel_jobs": 2})
    run, moved = tmp_path / "spread", tmp_path / "moved"
    command = [sys.executable, "-m", "search.cli", "run", "--config", str(config), "--run-dir", str(run)]
    first = subprocess.Popen(command, start_new_session=True)
    wait_for(lambda: len(list((tmp_path / "store").glob("results/*/*"))) > 3, 400)
    first.send_signal(signal.SIGKILL)
    first.wait()
    shutil.copytree(run, moved, ignore=shutil.ignore_patterns("jobs"))
    shutil.rmtree(run)
    assert main(["run", "--run-dir", str(moved), "--resume", "--trust"]) == 0
    assert (moved / "leaderboard.json").read_bytes() == (alone / "leaderboard.json").read_bytes()
    starts = [file.read_text().splitlines() for file in (tmp_path / "node").glob("starts-*")]
    assert len(starts) > 3
    assert {len(lines) for lines in starts} == {1}


@pytest.mark.slurm
def test_a_job_that_is_queued_again_ends_well(build: Callable[..., SlurmExecutor], tmp_path: Path) -> None:
    if build.keywords["cluster"] == "local":  # type: ignore[attr-defined]
        pytest.skip("submitit's local executor requeues nothing")
    asked = job("pause 8")
    executor = build(parallel_jobs=1)
    place = tmp_path / "jobs" / asked.digest

    def preempt() -> None:
        wait_for(lambda: (place / "starts").is_file(), 120)
        subprocess.run(["scontrol", "requeue", json.loads((place / SUBMITTED_FILE).read_text())["number"]], check=True)

    preempting = threading.Thread(target=preempt)
    preempting.start()
    [done] = executor.run([asked], tmp_path / "jobs")
    preempting.join()
    assert done.result.failure is None
    assert starts(place) == 2


@pytest.mark.slurm
def test_what_slurm_refuses_is_a_sentence(build: Callable[..., SlurmExecutor], tmp_path: Path) -> None:
    if build.keywords["cluster"] == "local":  # type: ignore[attr-defined]
        pytest.skip("there is no partition")
    with pytest.raises(UserError, match=r"Slurm does not take the jobs.*invalid partition"):
        list(build(partition="nowhere").run([job()], tmp_path / "jobs"))


@pytest.mark.slurm
def test_a_search_comes_to_the_leaderboard_that_it_has_here(
    build: Callable[..., SlurmExecutor], tmp_path: Path
) -> None:
    options = {"cluster": build.keywords["cluster"], "poll_seconds": 0.2}  # type: ignore[attr-defined]
    executor = {"name": "tests.search.executors.instant_on_slurm:InstantOnSlurm", "options": options}
    boards = []
    for name, changes in (("here", {}), ("there", {"executor": {**executor, "parallel_jobs": 2}})):
        code, run = run_search(tmp_path, name=name, **changes)
        assert code == 0
        boards.append(json.loads((run / "leaderboard.json").read_text()))
    assert boards[0] == boards[1]


@pytest.mark.slurm
@pytest.mark.slow
def test_it_does_all_that_an_executor_has_to_do(build: Callable[..., Any]) -> None:
    check_executor(partial(SlurmExecutor, **build.keywords))  # type: ignore[attr-defined]
