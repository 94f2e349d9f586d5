"""Packs that stop after some steps, and the packs in which some of their members go on, among others or alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from rewards_generated.errors import UserError
from rewards_generated.schedule import Schedule
from tests.trainer.grpo.packs import member_run, pack_run
from tests.trainer.grpo.test_training import same, weights
from tests.trainer.tiny import write_policy
from trainer.grpo.training import Training
from trainer.jobs.folder import RESULT_FILE, write_model
from trainer.jobs.train import TrainingRun, TrainJob, TrainResult

GRPO: dict[str, Any] = {
    "steps": 6,
    "prompts_per_step": 2,
    "generations": 4,
    "learning_rate_schedule": "cosine",
    "warmup_fraction": 0.3,
    "weight_decay": 0.1,
    "max_gradient_norm": 0.05,
    "beta": 0.1,
}
ROUNDING = 1e-12
"""In float64, beside weights of about 0.1: other numbers of rows are added up in another order."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def jobs(base: Path) -> list[TrainingRun]:
    return [
        member_run(base, "first", 1.0, grpo=GRPO),
        member_run(base, "second", 2.0, 5, grpo=GRPO, seed=4, schedule=Schedule(kind="linear", to=-2.0)),
        member_run(base, "third", 0.5, grpo=GRPO, seed=4),
    ]


@pytest.fixture(scope="module")
def whole(base: Path, jobs: list[TrainingRun], tmp_path_factory: pytest.TempPathFactory) -> Training:
    run = pack_run(base, tmp_path_factory.mktemp("whole"), jobs, force=False)
    run.train()
    return run


def test_schedules_follow_the_steps_of_the_whole_run(
    base: Path, jobs: list[TrainingRun], whole: Training, tmp_path: Path
) -> None:
    def scheduled(run: Training, place: int) -> list[float]:
        return [entry["rewards"]["second"]["weight"] for entry in run.curves(place)]

    assert scheduled(whole, 1) == [1.0, 0.5, 0.0, -0.5, -1.0, -1.5]
    assert "weight" not in whole.curves(0)[0]["rewards"]["first"]
    first = trained(base, tmp_path, jobs, 2)
    assert scheduled(first, 1) == [1.0, 0.5]
    assert scheduled(trained(base, tmp_path, [jobs[1]], None, first), 0) == scheduled(whole, 1)


def trained(base: Path, folder: Path, jobs: list[TrainingRun], stop: int | None = None, *origins: Training) -> Training:
    """A pack in a folder of its own beside the others'. `origins`: of each member."""
    fields = {"stop": stop, "origins": tuple(origin.job.digest for origin in origins)}
    digest = TrainJob.of(*jobs, label="pack", **fields).digest
    run = pack_run(base, folder / digest, jobs, force=False, **fields)
    run.train()
    return run


def equal(run: Training, place: int, other: Training, other_place: int, tolerance: float = 0.0) -> None:
    assert same(weights(run, place), weights(other, other_place), tolerance)
    own, theirs = run.curves(place), other.curves(other_place)
    assert [entry["step"] for entry in own] == [entry["step"] for entry in theirs]
    for mine, yours in zip(own, theirs, strict=True):
        for figure in ("loss", "learning_rate", "gradient_norm", "reward_mean", "completion_tokens"):
            assert mine[figure] == pytest.approx(yours[figure], rel=tolerance * 1e3, abs=tolerance), figure
    statistics = run.scoring.scorings[place].statistics()
    assert statistics == other.scoring.scorings[other_place].statistics()
    assert run.scoring.scorings[place].samples == other.scoring.scorings[other_place].samples


def test_all_that_go_on_together_are_to_the_bit_as_if_they_had_not_stopped(
    base: Path, jobs: list[TrainingRun], whole: Training, tmp_path: Path
) -> None:
    first = trained(base, tmp_path, jobs, 2)
    assert [len(first.curves(place)) for place in range(3)] == [2, 2, 2]
    assert not same(weights(first, 0), weights(whole, 0), 1e-6)
    second = trained(base, tmp_path, jobs, 4, *[first] * 3)
    last = trained(base, tmp_path, jobs, None, *[second] * 3)
    for place in range(3):
        equal(last, place, whole, place)


@pytest.mark.slow
def test_fewer_members_go_on_as_in_the_whole_run(
    base: Path, jobs: list[TrainingRun], whole: Training, tmp_path: Path
) -> None:
    first = trained(base, tmp_path, jobs, 3)
    last = trained(base, tmp_path, [jobs[2], jobs[0]], None, first, first)
    equal(last, 0, whole, 2, ROUNDING)
    equal(last, 1, whole, 0, ROUNDING)
    alone = trained(base, tmp_path, [jobs[1]], None, first)
    equal(alone, 0, whole, 1, ROUNDING)


@pytest.mark.slow
def test_members_of_different_packs_go_on_in_one(
    base: Path, jobs: list[TrainingRun], whole: Training, tmp_path: Path
) -> None:
    pair, single = trained(base, tmp_path, jobs[:2], 3), trained(base, tmp_path, jobs[2:], 3)
    last = trained(base, tmp_path, [jobs[2], jobs[1]], None, single, pair)
    equal(last, 0, whole, 2, ROUNDING)
    equal(last, 1, whole, 1, ROUNDING)


def test_a_stopped_pack_that_is_run_again_does_not_train_on(
    base: Path, jobs: list[TrainingRun], tmp_path: Path
) -> None:
    first = trained(base, tmp_path, jobs, 2)
    again = trained(base, tmp_path, jobs, 2)
    for place in range(3):
        equal(again, place, first, place)
        assert len(again.curves(place)) == 2


class Interrupted(Exception):
    pass


@pytest.mark.slow
def test_a_pack_that_went_on_and_was_interrupted_goes_on_from_its_own_checkpoint(
    base: Path, jobs: list[TrainingRun], tmp_path: Path
) -> None:
    first = trained(base, tmp_path, jobs, 2)
    whole = trained(base, tmp_path, jobs[:2], None, first, first)
    fields: dict[str, Any] = {"origins": (first.job.digest, first.job.digest)}
    folder = tmp_path / "interrupted"

    def started() -> tuple[Training, list[int]]:
        run = pack_run(base, folder, jobs[:2], force=False, **fields)
        saving = next(item for item in run._trainer.callback_handler.callbacks if hasattr(item, "_last"))
        saving._last = -math.inf
        steps: list[int] = []
        draw = run._trainer._rollouts

        def rollouts(prompts: Any, members: Any, step: int) -> Any:
            steps.append(step)
            if step == 5 and not (tmp_path / "once").exists():
                (tmp_path / "once").touch()
                raise Interrupted
            return draw(prompts, members, step)

        run._trainer._rollouts = rollouts
        return run, steps

    run, steps = started()
    with pytest.raises(Interrupted):
        run.train()
    assert steps == [3, 4, 5]
    run, steps = started()
    run.train()
    assert steps[0] > 3
    for place in range(2):
        equal(run, place, whole, place)


def test_a_member_that_failed_has_nothing_to_go_on_from(base: Path, tmp_path: Path) -> None:
    grpo = {**GRPO, "beta": 0.0}
    jobs = [
        member_run(base, "sound", 1.0, grpo=grpo, failure_rate_limit=0.15),
        member_run(base, "failing", 1.0, 2, grpo=grpo, failure_rate_limit=0.15),
    ]
    first = trained(base, tmp_path, jobs, 4)
    assert list(first.failures) == [1]
    with pytest.raises(ValueError, match="has failed in"):
        trained(base, tmp_path, [jobs[1]], None, first)
    assert len(trained(base, tmp_path, [jobs[0]], None, first).curves(0)) == 6


def test_members_of_different_steps_do_not_go_on_together(base: Path, jobs: list[TrainingRun], tmp_path: Path) -> None:
    early, late = trained(base, tmp_path, jobs[:1], 2), trained(base, tmp_path, jobs[1:2], 3)
    with pytest.raises(ValueError, match="different steps"):
        trained(base, tmp_path, jobs[:2], None, early, late)


def test_a_state_that_is_gone_is_named(base: Path, jobs: list[TrainingRun], tmp_path: Path) -> None:
    first = trained(base, tmp_path, jobs[:1], 2)
    first._checkpoint.remove()
    with pytest.raises(UserError, match="is gone, from which this pack has to go on"):
        trained(base, tmp_path, jobs[:1], None, first)


def test_only_a_pack_that_others_go_on_from_keeps_its_state(
    base: Path, jobs: list[TrainingRun], tmp_path: Path
) -> None:
    first = trained(base, tmp_path, jobs[:1], 2)
    first.forget()
    assert first._checkpoint.exists
    last = trained(base, tmp_path, jobs[:1], None, first)
    last.forget()
    assert not last._checkpoint.exists


def test_seconds_add_up_over_the_packs_of_a_member(jobs: list[TrainingRun], tmp_path: Path) -> None:
    from trainer.grpo.run import seconds_before
    from trainer.jobs.train import RunResult

    first = TrainJob(label="first", members=tuple(jobs), stop=2)
    assert seconds_before(first, tmp_path / first.digest) == [{}, {}, {}]
    members = tuple(
        RunResult(digest=job.digest, seconds={"train": float(place)}) for place, job in enumerate(jobs, start=1)
    )
    (tmp_path / first.digest).mkdir()
    write_model(tmp_path / first.digest / RESULT_FILE, TrainResult(digest=first.digest, members=members))
    second = TrainJob(label="second", members=(jobs[2], jobs[0]), origins=(first.digest,) * 2)
    assert seconds_before(second, tmp_path / second.digest) == [{"train": 3.0}, {"train": 1.0}]
    (tmp_path / first.digest / RESULT_FILE).unlink()
    with pytest.raises(UserError, match="has to go on, cannot be read"):
        seconds_before(second, tmp_path / second.digest)
