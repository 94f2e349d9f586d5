"""A pack against as many runs of TRL's own trainer: same forced completions, float64, equal to rounding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.grpo.packs import exact_policy, member_run, pack_run, plain_trl
from tests.trainer.tiny import write_policy
from trainer.jobs.train import TrainingRun


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp("policy"))


STEPS: dict[str, Any] = {"steps": 4, "prompts_per_step": 3, "generations": 4, "weight_decay": 0.1}
CLIPPED = {**STEPS, "max_gradient_norm": 0.05}


def candidates(base: Path, grpo: dict[str, Any]) -> list[TrainingRun]:
    """Rewards of very different scale; a fifth of the third's samples cannot be scored; the last has another seed."""
    return [
        member_run(base, "plain", 1.0, grpo=grpo),
        member_run(base, "large", 30.0, grpo=grpo),
        member_run(base, "gaps", 1.0, 5, grpo=grpo),
        member_run(base, "normalised", 2.0, grpo=grpo, aggregation="group_normalised"),
        member_run(base, "standardised", 2.0, grpo=grpo, aggregation="zscore"),
        member_run(base, "small", 0.01, grpo=grpo, seed=5),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param({"completions_per_forward": 4, "beta": 0.3}, marks=pytest.mark.slow),
        pytest.param({"beta": 0.3, "learning_rate_schedule": "linear", "warmup_fraction": 0.5}, marks=pytest.mark.slow),
        pytest.param({"loss": "dr_grpo", "completions_per_forward": 2}, marks=pytest.mark.slow),
        pytest.param({"loss": "dapo", "completions_per_forward": 6}, marks=pytest.mark.slow),
        pytest.param({"loss": "bnpo", "scale_advantages": "none"}, marks=pytest.mark.slow),
    ],
    ids=["grpo", "accumulated with beta", "beta and schedule", "dr_grpo", "dapo", "bnpo"],
)
def test_members_end_with_the_adapters_of_runs_by_themselves(
    base: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    jobs = candidates(base, {**CLIPPED, **changes})
    run = pack_run(base, tmp_path, jobs)
    run.train()
    assert run.failures == {}
    for place, job in enumerate(jobs):
        adapter, logs = plain_trl(base, tmp_path, job)
        found = run.tuned.state(place)
        assert found.keys() == adapter.keys()
        for name, weight in adapter.items():
            assert torch.allclose(found[name], weight, rtol=0, atol=1e-12), (job.label, name)
        assert max(weight.abs().max() for name, weight in adapter.items() if "lora_B" in name) > 1e-2
        curves = run.curves(place)
        assert [entry["step"] for entry in curves] == [1, 2, 3, 4]
        for entry, log in zip(curves, logs, strict=True):
            assert entry["loss"] == pytest.approx(log["loss"], rel=1e-6, abs=1e-6)
            assert entry["gradient_norm"] == pytest.approx(log["grad_norm"], rel=1e-9)
            if job.label != "small":
                assert entry["gradient_norm"] > 0.05, "the clipping is active"
            assert entry["learning_rate"] == log["learning_rate"]
            assert entry["truncated"] == pytest.approx(log["completions/clipped_ratio"])
            assert entry["groups_without_spread"] == pytest.approx(log["frac_reward_zero_std"])
            if "completions_per_forward" not in changes:
                # A mean over micro-batches depends on which rows these hold.
                assert entry["entropy"] == pytest.approx(log["entropy"], rel=1e-5)
                assert entry.get("kl", 0.0) == pytest.approx(log.get("kl", 0.0), rel=1e-5, abs=1e-9)


def test_a_pack_of_one_is_plain_trl(base: Path, tmp_path: Path) -> None:
    job = member_run(base, "alone", 1.0, 7, grpo={**CLIPPED, "beta": 0.1})
    run = pack_run(base, tmp_path, [job])
    run.train()
    adapter, logs = plain_trl(base, tmp_path, job)
    found = run.tuned.state(0)
    assert all(torch.allclose(found[name], weight, rtol=0, atol=1e-13) for name, weight in adapter.items())
    assert [entry["kl"] for entry in run.curves(0)] == pytest.approx([log["kl"] for log in logs], abs=1e-7)


def test_members_that_sample_freely_end_where_they_end_by_themselves(base: Path, tmp_path: Path) -> None:
    jobs = candidates(base, STEPS)
    run = pack_run(base, tmp_path, jobs, force=False)
    run.train()
    for place, job in enumerate(jobs):
        single = pack_run(base, tmp_path, [job], force=False)
        single.train()
        alone = single.tuned.state(0)
        for name, weight in run.tuned.state(place).items():
            assert torch.allclose(weight, alone[name], rtol=0, atol=1e-12), (job.label, name)
        for mine, theirs in zip(run.curves(place), single.curves(0), strict=True):
            assert mine["completion_tokens"] == theirs["completion_tokens"]
            assert mine["reward_mean"] == theirs["reward_mean"]


@pytest.mark.parametrize("changes", [{}, {"beta": 0.3}, {"completions_per_forward": 4, "loss": "dr_grpo"}], ids=str)
def test_every_weight_is_tuned_as_by_plain_trl(base: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    grpo = {**STEPS, "learning_rate": 1e-3, "max_gradient_norm": 0.05, "weight_decay": 0.1, **changes}
    job = member_run(base, "whole", 1.0, 7, grpo=grpo, tuning="full")
    run = pack_run(base, tmp_path, [job])
    run.train()
    expected, logs = plain_trl(base, tmp_path, job)
    found = run.policy.model.state_dict()
    untrained = exact_policy(base).model.state_dict()
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        # TRL's head sums the gradient of its own weights, which no adapter has, in single precision.
        assert torch.allclose(found[name], weight, rtol=0, atol=1e-8), name
    assert max((weight - untrained[name]).abs().max() for name, weight in expected.items()) > 1e-3
    for entry, log in zip(run.curves(0), logs, strict=True):
        assert entry["gradient_norm"] == pytest.approx(log["grad_norm"], rel=1e-7)
        if "completions_per_forward" not in changes:
            assert entry.get("kl", 0.0) == pytest.approx(log.get("kl", 0.0), abs=1e-7)


@pytest.mark.slow
def test_a_base_in_bfloat16_trains_as_by_itself(base: Path, tmp_path: Path) -> None:
    """Under autocast and activation checkpointing, where passes are computed again in the backward pass."""
    grpo = {**STEPS, "steps": 2, "beta": 0.1, "completions_per_forward": 4}
    hardware = {"device": "cpu", "dtype": "bfloat16"}
    jobs = [member_run(base, name, 1.0, grpo=grpo, hardware=hardware) for name in ("one", "other")]
    run = pack_run(base, tmp_path, jobs, dtype="bfloat16")
    assert run._trainer.args.gradient_checkpointing
    run.train()
    assert run.failures == {}
    for place, job in enumerate(jobs):
        _, logs = plain_trl(base, tmp_path, job, dtype="bfloat16")
        for entry, log in zip(run.curves(place), logs, strict=True):
            assert entry["loss"] == pytest.approx(log["loss"], abs=5e-3)
            assert entry["gradient_norm"] == pytest.approx(log["grad_norm"], rel=0.03)


def test_in_single_precision_members_take_the_steps_of_plain_trl(base: Path, tmp_path: Path) -> None:
    """The way of a CPU in production: prompts read once, logits in memory. Adam makes rounding visible, so one step."""
    jobs = candidates(base, {**STEPS, "steps": 1, "beta": 0.1, "warmup_fraction": 0.0, "max_gradient_norm": 100.0})
    run = pack_run(base, tmp_path, jobs, dtype="float32")
    assert run._trainer._shares_prompts(run.policy.model, 60)
    run.train()
    for place, job in enumerate(jobs):
        _, [log] = plain_trl(base, tmp_path, job, dtype="float32")
        [entry] = run.curves(place)
        assert entry["loss"] == pytest.approx(log["loss"], abs=1e-5)
        assert entry["gradient_norm"] == pytest.approx(log["grad_norm"], rel=1e-4)
        assert entry["entropy"] == pytest.approx(log["entropy"], rel=1e-4)
