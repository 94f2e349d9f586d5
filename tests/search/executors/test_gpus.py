"""Which GPU a job gets, and how many jobs run side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval.tasks.base import TaskReference
from search.executors import local
from search.executors.gpus import jobs_at_once, least_busy, visible_gpus
from search.executors.local import LocalExecutor
from tests.trainer.tiny import training_run
from trainer.jobs.train import TrainJob


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("four_gpus")
def test_all_gpus_that_the_driver_may_see_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert visible_gpus("auto") == visible_gpus("cuda") == ("0", "1", "2", "3")
    assert visible_gpus("cpu") == ()
    assert jobs_at_once("auto", "cuda") == 4
    assert jobs_at_once(2, "cuda") == 2
    assert jobs_at_once("auto", "cpu") == 1
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6, GPU-8932f937")
    assert visible_gpus("auto") == ("6", "GPU-8932f937")


def test_without_a_gpu_one_job_runs_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert visible_gpus("auto") == ()
    assert jobs_at_once("auto", "auto") == 1


def test_the_least_busy_gpu_is_taken() -> None:
    assert least_busy((), []) is None
    assert least_busy(("0", "1"), []) == "0"
    assert least_busy(("0", "1"), ["0"]) == "1"
    assert least_busy(("0", "1"), ["0", "1", "1", None]) == "0"


def test_every_running_job_sees_a_gpu_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "visible_gpus", lambda device: ("4", "7") if device == "auto" else ())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")

    def job(name: str, **hardware: Any) -> TrainJob:
        task = TaskReference(name="tests.search.job_tasks:shows_environment", options={"file": str(tmp_path / name)})
        return TrainJob.of(training_run(Path("nowhere"), task=task, hardware=hardware))

    def seen(name: str) -> str:
        return str(json.loads((tmp_path / name).read_text())["CUDA_VISIBLE_DEVICES"])

    jobs = [job("first", device="auto"), job("second", device="auto"), job("on the CPU", device="cpu")]
    assert len(list(LocalExecutor(parallel_jobs=3).run(jobs, tmp_path / "jobs"))) == 3
    assert {seen("first"), seen("second")} == {"4", "7"}
    assert seen("on the CPU") == "4,7"
