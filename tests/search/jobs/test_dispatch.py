"""What becomes of jobs whose engine is gone: those that lost it run again, and a search without one stops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

from eval.engines.base import Adapter, EngineLost, EngineSettings, EngineUnusable, Sampling
from eval.engines.transformers_engine import TransformersEngine
from rewards_generated.errors import UserError
from search.jobs.dispatch import run_jobs
from tests.trainer.tiny import TASK, training_run, write_policy
from trainer.jobs.base import Done, Job
from trainer.jobs.evaluate import EvaluateJob, Suite
from trainer.jobs.process import run_here
from trainer.jobs.train import EvaluationRequest, TrainJob, TrainResult


class Failing(TransformersEngine):
    """Raises what stands in `failures`, one after the other, and then goes on; the first after `good` calls."""

    failures: ClassVar[list[Exception]] = []
    good: ClassVar[int] = 0
    calls: ClassVar[int] = 0

    def complete(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        adapters: Sequence[Adapter],
        draws: Sequence[tuple[int, int]],
    ) -> list[list[int]]:
        Failing.calls += 1
        if self.failures and Failing.calls > Failing.good:
            raise self.failures.pop(0)
        return super().complete(prompts, sampling, adapters, draws)


class Here:
    name = "here"

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        return run_here(jobs, folder)


def outcome(folder: Path, *failures: Exception) -> list[Done]:
    Failing.failures, Failing.good = list(failures), 0
    job = EvaluateJob(
        label="tiny",
        base_model=str(write_policy(folder / "policy")),
        suites={"sums": Suite(task=TASK, split="validation", questions=2)},
        max_completion_tokens=4,
        engine=EngineSettings(name=f"{__name__}:Failing"),
    )
    return list(run_jobs(Here(), [job], folder))


def test_a_job_that_lost_its_engine_runs_again(tmp_path: Path) -> None:
    [done] = outcome(tmp_path, EngineLost("gone"), EngineLost("gone again"))
    assert done.result.failure is None
    assert done.result.predictions


def test_training_that_lost_its_engine_goes_on_from_its_checkpoint_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.grpo.training import Training

    monkeypatch.setattr("trainer.grpo.training.Training", partial(Training, checkpoint_seconds=0.0))
    run = training_run(
        write_policy(tmp_path / "policy"),
        engine=EngineSettings(name=f"{__name__}:Failing"),
        evaluation=EvaluationRequest(split="validation", limit=4, max_completion_tokens=8, batch_size=4),
    )
    ended: list[TrainResult] = []
    for name, failures in (("whole", []), ("lost", [EngineLost("gone")])):
        Failing.failures, Failing.good, Failing.calls = list[Exception](failures), 2, 0
        [done] = run_jobs(Here(), [TrainJob.of(run)], tmp_path / name)
        ended.append(done.result)
        assert not Failing.failures
    [[whole], [again]] = [result.members for result in ended]
    assert whole.curves == again.curves
    assert whole.predictions == again.predictions
    assert whole.sha256 == again.sha256
    assert len(whole.curves) == 3
    assert Failing.calls == 3 + 1 + 1, "the steps before the loss were not made again"


def test_a_job_that_loses_its_engine_every_time_has_failed_in_its_words(tmp_path: Path) -> None:
    [done] = outcome(tmp_path, *[EngineLost("the server was killed")] * 3)
    assert (done.result.failure, done.result.owner) == ("the server was killed", "process")


def test_without_an_engine_the_search_stops_and_can_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the server is away; see to it and continue with --resume"):
        outcome(tmp_path, EngineUnusable("the server is away"))
    [done] = outcome(tmp_path / "resumed")
    assert done.result.failure is None
