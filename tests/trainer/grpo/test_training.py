"""A pack whose members fail, and a pack that is interrupted."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from eval.engines.policy import load_policy
from eval.engines.transformers_engine import TransformersEngine
from eval.tasks.registry import build_task
from rewards_generated.ensemble import Member
from rewards_generated.schedule import Schedule
from rewards_generated.scorer import EnsembleScorer
from tests.trainer.grpo.packs import member_run, pack_run
from tests.trainer.tiny import COUNTS_SO, training_run, write_policy
from trainer.algorithms import algorithm_of
from trainer.grpo.training import Training
from trainer.jobs.train import TrainJob


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp("policy"))


STEPS: dict[str, Any] = {"steps": 4, "prompts_per_step": 2, "generations": 4}


def weights(run: Training, member: int) -> dict[str, torch.Tensor]:
    return run.tuned.state(member)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor], tolerance: float = 0.0) -> bool:
    return all(torch.allclose(first[name], second[name], rtol=0, atol=tolerance) for name in first)


def test_a_member_whose_reward_fails_too_often_does_not_touch_the_others(base: Path, tmp_path: Path) -> None:
    jobs = [
        member_run(base, "first", 1.0, grpo=STEPS, failure_rate_limit=0.15),
        member_run(base, "failing", 1.0, 2, grpo=STEPS, failure_rate_limit=0.15),
        member_run(base, "last", 2.0, grpo=STEPS, failure_rate_limit=0.15, seed=9),
    ]
    run = pack_run(base, tmp_path, jobs)
    run.train()
    assert list(run.failures) == [1]
    assert "failed in" in run.failures[1]
    assert len(run.curves(1)) == 2
    alone = pack_run(base, tmp_path, [jobs[0], jobs[2]])
    alone.train()
    for place, other in ((0, 0), (2, 1)):
        assert same(weights(run, place), weights(alone, other), 1e-13)
        assert len(run.curves(place)) == 4


def test_a_member_that_diverges_leaves_and_the_others_go_on(base: Path, tmp_path: Path) -> None:
    jobs = [member_run(base, "sound", 1.0, grpo=STEPS), member_run(base, "diverging", 1.0, grpo=STEPS)]
    run = pack_run(base, tmp_path, jobs)
    clip = run._trainer._clip_grad_norm

    def overflow(model: Any) -> Any:
        if run._trainer.state.global_step == 1:
            for parameter in run.tuned.parameters():
                parameter.grad[1] = math.inf
        return clip(model)

    run._trainer._clip_grad_norm = overflow
    run.train()
    assert list(run.failures) == [1]
    assert "diverged at step 2: gradient_norm is inf" in run.failures[1]
    alone = pack_run(base, tmp_path, [jobs[0]])
    alone.train()
    assert same(weights(run, 0), weights(alone, 0), 1e-13)


@pytest.mark.parametrize("fault", ["loss is nan", "loss is inf", "huge weights"])
def test_numbers_that_are_not_finite_stop_one_member_and_not_a_bit_of_another(
    base: Path, tmp_path: Path, fault: str
) -> None:
    jobs = [member_run(base, name, 1.0, grpo={**STEPS, "steps": 2}) for name in ("sound", "diverging", "other")]
    whole = pack_run(base, tmp_path / "whole", jobs)
    whole.train()
    run = pack_run(base, tmp_path / "hit", jobs)
    scored, alive = run._trainer._generate_and_score_completions, run._trainer._alive

    def hit(inputs: Any) -> dict[str, Any]:
        output: dict[str, Any] = scored(inputs)
        if run._trainer.state.global_step == 1:
            output["advantages"][output["member"] == 1] = math.nan if fault == "loss is nan" else math.inf
        return output

    def grown() -> list[int]:
        if run._trainer.state.global_step == 1:
            with torch.no_grad():
                for parameter in run.tuned.parameters():
                    parameter[1] = 1e200
        return alive()

    if fault == "huge weights":
        run._trainer._alive = grown
    else:
        run._trainer._generate_and_score_completions = hit
    run.train()
    assert list(run.failures) == [1]
    assert "diverged at step 2" in run.failures[1]
    for place in (0, 2):
        assert same(weights(run, place), weights(whole, place))
        assert run.curves(place) == whole.curves(place)


def test_a_pack_without_a_member_left_ends(base: Path, tmp_path: Path) -> None:
    jobs = [
        member_run(base, name, 1.0, 2, grpo={**STEPS, "steps": 50}, failure_rate_limit=0.01) for name in ("one", "two")
    ]
    run = pack_run(base, tmp_path, jobs)
    run.train()
    assert sorted(run.failures) == [0, 1]
    assert len(run.curves(0)) < 5


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("accumulated", [None, 4])
def test_an_interrupted_pack_goes_on_and_ends_the_same_to_the_bit(
    base: Path, tmp_path: Path, accumulated: int | None
) -> None:
    grpo = {**STEPS, "steps": 6, "beta": 0.1, "completions_per_forward": accumulated, "weight_decay": 0.1}
    jobs = [
        member_run(base, name, 1.0, gap, grpo=grpo, failure_rate_limit=0.15, schedule=schedule)
        for name, gap, schedule in (
            ("first", None, None),
            ("failing", 2, None),
            ("last", 9, Schedule(kind="switch", to=-1.0, at=0.8)),
        )
    ]
    whole = pack_run(base, tmp_path / "whole", jobs, force=False)
    whole.train()

    def started() -> Training:
        run = pack_run(base, tmp_path / "parts", jobs, force=False)
        saving = next(item for item in run._trainer.callback_handler.callbacks if hasattr(item, "_last"))
        saving._last = -math.inf
        return run

    first = started()
    rollouts = first._trainer._rollouts

    def interrupted(prompts: Any, members: Any, step: int) -> Any:
        if step == 5:
            raise Interrupted
        return rollouts(prompts, members, step)

    first._trainer._rollouts = interrupted
    with pytest.raises(Interrupted):
        first.train()
    assert first._checkpoint.exists
    second = started()
    calls: list[int] = []
    resumed = second._trainer._rollouts

    def counted(prompts: Any, members: Any, step: int) -> Any:
        calls.append(step)
        return resumed(prompts, members, step)

    second._trainer._rollouts = counted
    second.train()
    assert calls
    assert calls[0] > 1
    assert calls[-1] == 6
    assert second.failures == whole.failures
    assert list(whole.failures) == [1]
    for place in (0, 2):
        assert same(weights(second, place), weights(whole, place))
        assert second.curves(place) == whole.curves(place)
        assert second.scoring.scorings[place].statistics() == whole.scoring.scorings[place].statistics()
        assert second.scoring.scorings[place].samples == whole.scoring.scorings[place].samples
    second.forget()
    assert not second._checkpoint.exists


@pytest.mark.parametrize(
    "changes",
    [
        {"lora": {"rank": 4, "alpha": 8, "dropout": 0.2}},
        {"tuning": "full", "grpo": {**STEPS, "learning_rate": 1e-3, "beta": 0.1}},
        {"algorithm": {"name": "multilayer", "options": {"updates": "alternating"}}},
    ],
    ids=["dropout", "full with a KL term", "two layers in turn"],
)
@pytest.mark.slow
def test_a_run_alone_goes_on_to_the_bit_whatever_it_trains(base: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    job = training_run(
        base, Member(name="format_approximate"), Member(name="counts", code=COUNTS_SO), **{"grpo": STEPS, **changes}
    )

    def run(folder: Path, killed_after: int | None = None) -> tuple[dict[str, Any], list[int]]:
        """Curves, statistics, samples and a hash of the weights, and the steps that were made."""
        steps: list[int] = []
        task, policy = build_task(job.task), load_policy(str(base), "cpu")
        with EnsembleScorer(job.ensemble, job.sandbox) as scorer:
            scoring = algorithm_of(job.algorithm).scoring(job, scorer, task)
            engine = TransformersEngine(policy)
            training = Training(TrainJob.of(job), policy, engine, task, [scoring], folder, checkpoint_seconds=0.0)
            draw = training._trainer._rollouts

            def rollouts(prompts: Any, members: Any, step: int, **layer: int) -> Any:
                if killed_after is not None and step > killed_after:
                    raise Interrupted
                steps.append(step)
                return draw(prompts, members, step, **layer)

            training._trainer._rollouts = rollouts
            training.train()
        training.save(0, folder / "adapter")
        [weights] = (folder / "adapter").glob("*.safetensors")
        found = {
            "curves": training.curves(0),
            "statistics": scoring.statistics(),
            "samples": scoring.samples,
            "weights": hashlib.sha256(weights.read_bytes()).hexdigest(),
        }
        return found, steps

    whole, _ = run(tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(tmp_path / "halved", 2)
    again, steps = run(tmp_path / "halved")
    assert again == whole
    assert sorted(set(steps)) == [3, 4]


def test_without_room_on_the_disk_there_is_no_checkpoint(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.grpo.checkpoint.BYTES_PER_PARAMETER", 10**15)
    run = pack_run(base, tmp_path, [member_run(base, "one", grpo=STEPS)], checkpoint_seconds=0.0)
    rollouts = run._trainer._rollouts

    def interrupted(prompts: Any, members: Any, step: int) -> Any:
        if step == 3:
            raise Interrupted
        return rollouts(prompts, members, step)

    run._trainer._rollouts = interrupted
    with pytest.raises(Interrupted):
        run.train()
    assert not run._checkpoint.exists
