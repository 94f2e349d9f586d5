"""The local executor: results as they finish, reuse, crashes, limits, and nothing left running or leaking."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from eval.tasks.base import TaskReference
from rewards_generated.ensemble import Member
from rewards_generated.errors import UserError
from search.executors.base import build_executor
from search.executors.environment import job_environment
from search.executors.local import LocalExecutor
from search.jobs.packing import runs_of
from tests.trainer.tiny import COUNTS_SO, training_run, write_policy
from trainer.jobs.base import Done, Job
from trainer.jobs.evaluate import EvaluateJob, Suite
from trainer.jobs.folder import kept_result, write_model
from trainer.jobs.settings import Hardware
from trainer.jobs.train import RunResult, TrainingRun, TrainJob, member_folder


def run(behaviour: str, **options: Any) -> TrainingRun:
    return training_run(
        Path("nowhere"), task=TaskReference(name=f"tests.search.job_tasks:{behaviour}", options=options)
    )


def job(behaviour: str, **options: Any) -> TrainJob:
    return TrainJob.of(run(behaviour, **options))


def outcome(executor: LocalExecutor, *jobs: Job, folder: Path) -> list[Done]:
    return list(executor.run(jobs, folder))


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(condition: Any, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.mark.slow
def test_jobs_run_side_by_side_and_a_whole_result_is_not_run_again(tmp_path: Path) -> None:
    base = write_policy(tmp_path / "policy")
    log = tmp_path / "runs"
    task = TaskReference(name="tests.search.job_tasks:counts_runs", options={"file": str(log)})
    counts = Member(name="counts", code=COUNTS_SO)
    jobs = [TrainJob.of(training_run(base, counts, task=task, seed=seed, grpo={"steps": 1})) for seed in (1, 2)]
    same_as_first = jobs[0].model_copy(update={"label": "the same"})
    done = outcome(LocalExecutor(parallel_jobs=3), *jobs, same_as_first, folder=tmp_path / "jobs")
    assert [item.result.failure for item in done] == [None] * 3
    assert sorted(item.job.label for item in done) == ["the same", "tiny", "tiny"]
    for item in done:
        assert item.folder == tmp_path / "jobs" / item.job.digest
        assert item.result.digest == item.job.digest
        assert (member_folder(item.folder, item.job.shared) / "adapter" / "adapter_model.safetensors").is_file()
    assert len(log.read_text().split()) == 2

    again = outcome(LocalExecutor(), *jobs, folder=tmp_path / "jobs")
    assert len(log.read_text().split()) == 2
    assert {item.job.digest: item.result for item in again} == {item.job.digest: item.result for item in done}

    evaluation = EvaluateJob(
        label="both",
        base_model=str(base),
        adapters=(None, *(str(member_folder(item.folder, item.job.shared) / "adapter") for item in done[:2])),
        suites={
            "sums": Suite(task=task, questions=5),
            "drawn": Suite(task=task, questions=5, ids=("test-7-3", "test-7-1")),
        },
        max_completion_tokens=8,
        hardware=Hardware(device="cpu"),
    )
    [evaluated] = outcome(LocalExecutor(), evaluation, folder=tmp_path / "jobs")
    assert evaluated.result.failure is None
    assert [len(predictions["sums"]) for predictions in evaluated.result.predictions] == [5, 5, 5]
    for predictions in evaluated.result.predictions:
        assert [item.id for item in predictions["drawn"]] == ["test-7-1", "test-7-3"]


@pytest.mark.slow
def test_the_runs_of_a_job_are_trained_once(tmp_path: Path) -> None:
    base = write_policy(tmp_path / "policy")
    log = tmp_path / "runs"
    task = TaskReference(name="tests.search.job_tasks:counts_runs", options={"file": str(log)})
    counts = Member(name="counts", code=COUNTS_SO)
    members = tuple(training_run(base, counts, task=task, seed=seed, grpo={"steps": 1}) for seed in (1, 2))
    pack = TrainJob.of(*members)
    [done] = outcome(LocalExecutor(), pack, folder=tmp_path / "jobs")
    assert done.folder == tmp_path / "jobs" / pack.digest
    assert done.result.failure is None
    for member, result in zip(members, done.result.members, strict=True):
        folder = member_folder(done.folder, member)
        assert kept_result(folder, member.digest, RunResult) == result
        assert (folder / "adapter" / "adapter_model.safetensors").is_file()
    assert len(log.read_text().split()) == 1

    # What has trained to its end comes to lie by itself, where other searches find it.
    for ended, result in zip(runs_of(done, tmp_path / "jobs"), done.result.members, strict=True):
        assert ended.folder == tmp_path / "jobs" / ended.run.digest
        assert kept_result(ended.folder, ended.run.digest, RunResult) == ended.result == result
    [again] = outcome(LocalExecutor(), pack, folder=tmp_path / "jobs")
    assert again.result == done.result
    assert [ended.result for ended in runs_of(again, tmp_path / "jobs")] == list(done.result.members)
    assert len(log.read_text().split()) == 1


@pytest.mark.slow
def test_a_job_with_a_stop_leaves_its_runs_where_the_next_job_finds_them(tmp_path: Path) -> None:
    base = write_policy(tmp_path / "policy")
    counts = Member(name="counts", code=COUNTS_SO)
    members = tuple(training_run(base, counts, seed=seed, grpo={"steps": 2}) for seed in (1, 2))
    first = TrainJob.of(*members, stop=1)
    [stopped] = outcome(LocalExecutor(), first, folder=tmp_path / "jobs")
    assert [len(ended.result.curves) for ended in runs_of(stopped, tmp_path / "jobs")] == [1, 1]
    assert not any((tmp_path / "jobs" / member.digest).exists() for member in members)
    last = TrainJob.of(members[1], origins=(first.digest,))
    [done] = outcome(LocalExecutor(), last, folder=tmp_path / "jobs")
    [ended] = runs_of(done, tmp_path / "jobs")
    assert (ended.result.failure, len(ended.result.curves)) == (None, 2)
    assert ended.folder == tmp_path / "jobs" / members[1].digest


def test_a_pack_may_take_as_long_as_its_members_together(tmp_path: Path) -> None:
    executor = LocalExecutor(job_timeout_seconds=2)
    members = tuple(
        run("sleeps", file=str(tmp_path / "processes")).model_copy(update={"seed": seed}) for seed in (1, 2)
    )
    started = time.monotonic()
    [done] = executor.run([TrainJob.of(*members)], tmp_path)
    assert done.result.failure == "the job ran past its limit of 4 seconds and was stopped"
    assert time.monotonic() - started > 4


def test_a_result_that_is_not_whole_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    whole = RunResult(digest="d", adapter="adapter")
    write_model(tmp_path / "result.json", whole)
    assert kept_result(tmp_path, "d", RunResult) == whole
    assert kept_result(tmp_path, "of another job", RunResult) is None
    (tmp_path / "adapter").rmdir()
    assert kept_result(tmp_path, "d", RunResult) is None
    (tmp_path / "adapter").mkdir()
    (tmp_path / "result.json").write_text(whole.model_dump_json()[:20])
    assert kept_result(tmp_path, "d", RunResult) is None


def test_a_result_with_another_figure_than_was_written_is_not_taken_over(tmp_path: Path) -> None:
    whole = RunResult(digest="d", seconds={"train": 1.5})
    write_model(tmp_path / "result.json", whole)
    assert kept_result(tmp_path, "d", RunResult) == whole
    (tmp_path / "result.json").write_text(whole.model_dump_json().replace("1.5", "1.7"))
    assert kept_result(tmp_path, "d", RunResult) is None
    (tmp_path / "result.json").write_text(whole.model_dump_json())
    assert kept_result(tmp_path, "d", RunResult) == whole
    (tmp_path / "result.sha256").unlink()
    assert kept_result(tmp_path, "d", RunResult) is None


def test_a_crash_is_told_with_the_last_line_of_the_log(tmp_path: Path) -> None:
    done = outcome(LocalExecutor(2), job("crashes", code=7), job("killed"), folder=tmp_path)
    failures = {item.job.shared.task.name.partition(":")[2]: item.result for item in done}
    assert failures["crashes"].failure == (
        "the job ended with exit code 7 and left no result; its log ends with: the last words of this job"
    )
    assert "was killed by SIGKILL" in (failures["killed"].failure or "")
    assert all(result.lost and not result.members for result in failures.values())


def test_exit_codes_are_read_under_a_parent_that_ignores_its_children(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(job("crashes", code=3).model_dump_json())
    code = """
        import signal, sys
        from pathlib import Path
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        from search.executors.local import LocalExecutor
        from trainer.jobs.train import TrainJob

        folder = Path(sys.argv[1])
        [done] = LocalExecutor().run([TrainJob.model_validate_json((folder / "job.json").read_text())], folder)
        print(done.result.failure)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "the job ended with exit code 3 and left no result" in said


@pytest.mark.slow
def test_a_failure_that_says_nothing_about_the_job_is_tried_again(tmp_path: Path) -> None:
    seen = tmp_path / "environment"
    wanted = job("shows_environment", file=str(seen))
    for _ in range(2):
        [done] = outcome(LocalExecutor(), wanted, folder=tmp_path)
        assert done.result.failure == "seen"
        assert seen.exists()
        seen.unlink()


def test_a_result_that_cannot_be_read_stops_the_search_instead_of_failing_the_candidate(tmp_path: Path) -> None:
    # The digest depends on the options, so the job is told where to write by a link.
    one = job("leaves_a_result_of_another_version", folder=str(tmp_path), digest="here")
    (tmp_path / one.digest).mkdir()
    (tmp_path / "here").symlink_to(one.digest)
    with pytest.raises(UserError, match="cannot be read by this process"):
        outcome(LocalExecutor(), one, folder=tmp_path)


def test_steps_of_running_jobs_are_added_up_and_forgotten_when_they_end(tmp_path: Path) -> None:
    executor = LocalExecutor()
    seen = []
    ended = executor.run([job("sleeps", file=str(tmp_path / "pids"))], tmp_path / "jobs")

    def watch() -> None:
        wait_for((tmp_path / "pids").exists)
        (place,) = (tmp_path / "jobs").iterdir()
        (place / "steps").write_text("7")
        seen.append(executor.steps_in_progress())
        os.kill(json.loads((tmp_path / "pids").read_text())[0], signal.SIGKILL)

    watcher = threading.Thread(target=watch)
    watcher.start()
    (done,) = ended
    watcher.join()
    assert done.result.lost
    assert seen == [7]
    assert executor.steps_in_progress() == 0


def test_past_its_limit_a_job_is_stopped_with_everything_it_started(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    [done] = outcome(LocalExecutor(job_timeout_seconds=12), job("sleeps", file=str(file)), folder=tmp_path)
    assert done.result.failure == "the job ran past its limit of 12 seconds and was stopped"
    assert not done.result.lost
    wait_for(lambda: not any(alive(pid) for pid in json.loads(file.read_text())), 5)


@pytest.mark.slow
def test_without_a_limit_training_that_takes_many_times_as_long_as_its_like_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.executors.job_process.HANGING", 2)
    monkeypatch.setattr("search.executors.job_process.HANGING_SECONDS", 1.0)
    base = write_policy(tmp_path / "policy")
    task = TaskReference(name="tests.search.job_tasks:hangs_the_second_time", options={"file": str(tmp_path / "built")})
    counts = Member(name="counts", code=COUNTS_SO)
    jobs = [TrainJob.of(training_run(base, counts, task=task, seed=seed, grpo={"steps": 1})) for seed in (1, 2)]
    first, second = outcome(LocalExecutor(), *jobs, folder=tmp_path / "jobs")
    assert first.result.failure is None
    assert re.fullmatch(r"the job ran past its limit of \S+ seconds and was stopped", second.result.failure)
    assert not second.result.lost


def test_closing_the_iterator_stops_what_runs(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    quick, slow = job("crashes", code=1), job("sleeps", file=str(file))
    ended = LocalExecutor(parallel_jobs=2).run([slow, quick], tmp_path)
    assert next(iter(ended)).job == quick
    wait_for(file.exists)
    assert all(alive(pid) for pid in json.loads(file.read_text()))
    ended.close()  # type: ignore[attr-defined]
    wait_for(lambda: not any(alive(pid) for pid in json.loads(file.read_text())), 5)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_job_does_not_outlive_a_driver_that_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    wanted = job("sleeps", file=str(file))
    (tmp_path / "job.json").write_text(wanted.model_dump_json())
    driver = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                """
                import sys
                from pathlib import Path
                from search.executors.local import LocalExecutor
                from trainer.jobs.train import TrainJob

                folder = Path(sys.argv[1])
                job = TrainJob.model_validate_json((folder / "job.json").read_text())
                list(LocalExecutor().run([job], folder))
                """
            ),
            str(tmp_path),
        ]
    )
    wait_for(file.exists)
    pid, child = json.loads(file.read_text())
    assert alive(pid)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    try:
        wait_for(lambda: not alive(pid), 5)
    finally:
        # Stands in for a worker, but without a worker's own watch over its parent.
        os.kill(child, signal.SIGKILL)


def test_no_secret_reaches_the_process_of_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_OWN_VARIABLE"):
        monkeypatch.setenv(name, "canary-4711")
    file = tmp_path / "environment"
    outcome(LocalExecutor(), job("shows_environment", file=str(file)), folder=tmp_path)
    environment = json.loads(file.read_text())
    assert "canary-4711" not in json.dumps(environment)
    assert environment["PATH"] == os.environ["PATH"]
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_threads_and_hub_cache_come_from_the_job_and_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", "/somewhere/cache")
    environment = job_environment(Hardware(threads=3))
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "3"
    assert environment["HF_HOME"] == "/somewhere/cache"


def test_executors_are_found_by_name_and_bad_ones_are_named() -> None:
    local = build_executor("local", parallel_jobs=2)
    assert isinstance(local, LocalExecutor)
    assert local.parallel_jobs == 2
    assert isinstance(build_executor("search.executors.local:LocalExecutor"), LocalExecutor)
    for name, sentence in {
        "lokal": "is not a known executor: did you mean 'local'",
        "search.executors.nowhere:X": "there is no module",
        "search.executors.local:Nobody": "has no class 'Nobody'",
    }.items():
        with pytest.raises(UserError, match=sentence):
            build_executor(name)
    with pytest.raises(UserError, match=r"executor.options.speed` is unknown: executor 'local' has no field 'speed'"):
        build_executor("local", speed=3)
    with pytest.raises(UserError, match="parallel_jobs = 0"):
        build_executor("local", parallel_jobs=0)
    with pytest.raises(UserError, match=r"job_timeout_seconds = 0\.5"):
        build_executor("local", job_timeout_seconds=0.5)
