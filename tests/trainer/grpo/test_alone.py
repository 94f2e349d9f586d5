"""One GRPO run in this process: advantages, aggregation, schedules, tuning, and what settings are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from eval.engines.policy import load_policy
from eval.engines.transformers_engine import TransformersEngine
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import UserError
from rewards_generated.rollout import Sample
from rewards_generated.score import Score
from rewards_generated.scorer import EnsembleScorer
from tests.trainer.tiny import Sums, training_run, write_policy
from trainer.algorithms import algorithm_of
from trainer.grpo.arguments import check
from trainer.grpo.training import Training
from trainer.jobs.train import TrainJob


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp("policy"))


class Scripted:
    """Gives the scores of a list, call after call."""

    def __init__(self, scores: Iterator[float | None]) -> None:
        self.scores = scores

    def score(self, samples: Sequence[Sample], groups: object = None) -> list[Score]:
        return [Score(value, None if value is not None else "failed") for _, value in zip(samples, self.scores)]  # noqa: B905

    def close(self) -> None: ...


def grpo_run(base: Path, folder: Path, scripts: Sequence[list[float | None]], **changes: Any) -> Training:
    """A run by itself whose members give the scripted scores, the same ones at every step."""
    import torch

    torch.set_num_threads(1)
    aggregation = changes.pop("aggregation", "sum")
    weights = changes.pop("weights", [1.0] * len(scripts))
    members = tuple(Member(name=f"m{index}", code=f"# {index}", weight=weight) for index, weight in enumerate(weights))
    ensemble = Ensemble(name="e", members=members, aggregation=aggregation)
    run = training_run(base, ensemble=ensemble, failure_rate_limit=1.0, **changes)

    def worker(code: str, settings: object) -> Scripted:
        return Scripted(iter(scripts[int(code[2:])] * run.grpo.steps))

    scoring = algorithm_of(run.algorithm).scoring(run, EnsembleScorer(ensemble, worker=worker), Sums({}))
    policy = load_policy(str(base), "cpu")
    return Training(TrainJob.of(run), policy, TransformersEngine(policy), Sums({}), [scoring], folder)


def advantages(run: Training) -> list[float]:
    """Of the first step, in the order of the rollouts."""
    seen: list[list[float]] = []
    trainer = run._trainer
    original: Callable[[Any], dict[str, Any]] = trainer._generate_and_score_completions

    def spy(inputs: Any) -> dict[str, Any]:
        output = original(inputs)
        seen.append(output["advantages"].tolist())
        return output

    trainer._generate_and_score_completions = spy
    run.train()
    return seen[0]


ONE_STEP = {"steps": 1}


def test_an_unscorable_row_has_no_advantage_and_does_not_distort_its_group(base: Path, tmp_path: Path) -> None:
    scores: list[float | None] = [1.0, 2.0, None, 6.0, 0.0, 0.0, 0.0, 4.0]
    found = advantages(grpo_run(base, tmp_path, [scores], grpo=ONE_STEP))
    # Group one: mean 3, sample standard deviation of (1, 2, 6); group two: mean 1, that of (0, 0, 0, 4).
    first, second = 7**0.5 + 1e-4, 2 + 1e-4
    assert found == pytest.approx([-2 / first, -1 / first, 0, 3 / first, *[-1 / second] * 3, 3 / second], rel=1e-5)


def test_advantages_without_scaling_are_centred_only(base: Path, tmp_path: Path) -> None:
    grpo = {**ONE_STEP, "scale_advantages": "none"}
    found = advantages(grpo_run(base, tmp_path, [[1.0, 2.0, None, 6.0, 0.0, 0.0, 0.0, 4.0]], grpo=grpo))
    assert found == pytest.approx([-2, -1, 0, 3, -1, -1, -1, 3])


def test_group_normalised_equals_normalize_then_sum_of_trl(base: Path, tmp_path: Path) -> None:
    from trl import GRPOConfig, GRPOTrainer

    scripts: list[list[float | None]] = [[1, 2, 4, 4, 0, 0, 1, 0], [10, -30, 20, 5, 1, 2, 3, 4], [1.0] * 8]
    weights = [1.0, 0.25, 3.0]
    ours = advantages(
        grpo_run(base, tmp_path / "a", scripts, weights=weights, aggregation="group_normalised", grpo=ONE_STEP)
    )

    run = grpo_run(base, tmp_path / "b", scripts, weights=weights, grpo=ONE_STEP)
    dataset = run._trainer.train_dataset
    policy = load_policy(str(base), "cpu")
    trainer = GRPOTrainer(
        model=policy.model,
        processing_class=policy.tokenizer,
        reward_funcs=[lambda completions, script=script, **_: script for script in scripts],
        args=GRPOConfig(
            **{
                **{key: value for key, value in run._trainer.args.to_dict().items() if key in _KEPT},
                "multi_objective_aggregation": "normalize_then_sum",
                "reward_weights": weights,
            }
        ),
        train_dataset=dataset,
    )
    seen: list[list[float]] = []
    original = trainer._generate_and_score_completions

    def spy(inputs: Any) -> Any:
        output = original(inputs)
        seen.append(output["advantages"].tolist())
        return output

    trainer._generate_and_score_completions = spy
    trainer.train()
    assert ours == pytest.approx(seen[0], abs=1e-5)
    assert len(set(ours)) > 4


_KEPT = {
    "output_dir",
    "seed",
    "max_steps",
    "per_device_train_batch_size",
    "num_generations",
    "max_completion_length",
    "learning_rate",
    "shuffle_dataset",
    "bf16",
    "use_cpu",
    "save_strategy",
    "disable_tqdm",
    "dataloader_pin_memory",
}


def final_weights(run: Training) -> dict[str, Any]:
    run.train()
    weights: dict[str, Any] = run.tuned.state(0)  # type: ignore[attr-defined]
    return weights


SCORES: list[float | None] = [1.0, 2.0, 0.0, 6.0, 0.0, 1.0, 3.0, 4.0]


def test_micro_batches_give_the_gradient_of_the_whole_batch(base: Path, tmp_path: Path) -> None:
    import torch

    whole = final_weights(grpo_run(base, tmp_path / "a", [SCORES], grpo=ONE_STEP))
    parts = final_weights(grpo_run(base, tmp_path / "b", [SCORES], grpo={**ONE_STEP, "completions_per_forward": 2}))
    assert all(torch.allclose(whole[name], parts[name], atol=2e-4) for name in whole)
    assert any(parameter.abs().max() > 1e-3 for name, parameter in whole.items() if "lora_B" in name)


@pytest.mark.parametrize("in_memory", [2**26, 0])
def test_rows_in_chunks_have_the_log_probabilities_of_rows_together(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    import torch
    from trl import GRPOTrainer

    monkeypatch.setattr("trainer.grpo.pack_trainer.LOGITS_IN_MEMORY", in_memory)
    trainer = grpo_run(base, tmp_path, [SCORES], grpo={"prompts_per_step": 10})._trainer
    torch.manual_seed(0)
    width, kept, rows = 19, 12, 40
    ids = torch.randint(5, 30, (rows, width))
    mask = torch.ones_like(ids)
    for row, (left, right) in enumerate(
        zip(torch.randint(0, 5, (rows,)), torch.randint(0, kept, (rows,)), strict=True)
    ):
        mask[row, : int(left)] = 0
        mask[row, width - int(right) :] = 0
    prompt = width - kept
    ids[1::2, :prompt], mask[1::2, :prompt] = ids[::2, :prompt], mask[::2, :prompt]  # read once for two rows
    ids = ids.masked_fill(mask == 0, 0)
    assert trainer._shares_prompts(trainer.model, width)

    trainer._members, trainer._row_members = [0], [0] * rows
    trainer._tuned.assign(trainer._row_members)

    def gradient(compute: Callable[..., Any]) -> tuple[Any, Any, Any]:
        trainer.model.zero_grad()
        logps, entropies, _ = compute(trainer.model, ids, mask, kept, compute_entropy=True)
        (logps * mask[:, -kept:]).sum().backward()
        parts = [parameter.grad.clone() for parameter in trainer.model.parameters() if parameter.requires_grad]
        return logps * mask[:, -kept:], entropies * mask[:, -kept:], torch.cat([part.flatten() for part in parts])

    ours = gradient(trainer._get_per_token_logps_and_entropies)
    reference = gradient(GRPOTrainer._get_per_token_logps_and_entropies.__get__(trainer))
    for found, expected in zip(ours, reference, strict=True):
        assert torch.allclose(found, expected, atol=1e-4)
    assert reference[2].abs().max() > 1


@pytest.mark.parametrize(
    "changed",
    [
        {"learning_rate": 1e-3},
        {"beta": 5.0},
        *(
            pytest.param(changed, marks=pytest.mark.slow)
            for changed in (
                {"weight_decay": 0.5},
                {"temperature": 0.5},
                {"loss": "dr_grpo"},
                {"max_gradient_norm": 1e-12},
                {"learning_rate_schedule": "constant"},
                {"warmup_fraction": 0.9},
                {"max_completion_tokens": 6},
                {"scale_advantages": "none"},
            )
        ),
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_every_setting_acts(base: Path, tmp_path: Path, changed: dict[str, Any], usual: dict[str, Any]) -> None:
    found = final_weights(grpo_run(base, tmp_path, [SCORES], grpo={"steps": 2, **changed}))
    assert found.keys() == usual.keys()
    assert any(not found[name].equal(usual[name]) for name in found)


@pytest.fixture(scope="module")
def usual(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return final_weights(grpo_run(base, tmp_path_factory.mktemp("usual"), [SCORES], grpo={"steps": 2}))


def test_learning_rates_follow_warm_up_and_schedule(base: Path, tmp_path: Path) -> None:
    grpo = {"steps": 5, "learning_rate": 1.0e-4, "learning_rate_schedule": "linear", "warmup_fraction": 0.4}
    run = grpo_run(base, tmp_path, [SCORES], grpo=grpo)
    run.train()
    rates = [entry["learning_rate"] for entry in run.curves(0)]
    assert rates == pytest.approx([0.0, 0.5e-4, 1e-4, 2e-4 / 3, 1e-4 / 3])


def test_every_step_has_a_complete_entry(base: Path, tmp_path: Path) -> None:
    run = grpo_run(base, tmp_path, [SCORES], grpo={"beta": 0.1})
    run.train()
    assert [entry["step"] for entry in run.curves(0)] == [1, 2, 3]
    named = {"loss", "reward_mean", "reward_std", "rewards", "completion_tokens", "extraction_rate", "accuracy"}
    named |= {"entropy", "gradient_norm", "learning_rate", "truncated", "groups_without_spread", "kl"}
    assert all(named <= entry.keys() for entry in run.curves(0))
    assert all(entry["gradient_norm"] > 0 for entry in run.curves(0))


def test_groups_without_spread_leave_the_adapter_untrained(base: Path, tmp_path: Path) -> None:
    found = final_weights(grpo_run(base, tmp_path, [[3.0] * 8]))
    assert all(not parameter.any() for name, parameter in found.items() if "lora_B" in name)


@pytest.mark.parametrize(
    ("grpo", "sentence"),
    [
        ({"completions_per_forward": 3}, "must divide the 8 completions"),
        ({"optimizer": "adamw_8bit"}, "needs the package bitsandbytes"),
        ({"quantization": "4bit"}, r"hardware.quantization = '4bit' needs the package bitsandbytes"),
    ],
)
def test_settings_that_do_not_fit_are_named(
    base: Path, tmp_path: Path, grpo: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eval.engines.policy.find_spec", lambda name: None)
    hardware = {"device": "cpu", **{name: grpo.pop(name) for name in ["quantization"] if name in grpo}}
    with pytest.raises(UserError, match=sentence):
        check(training_run(base, grpo=grpo, hardware=hardware))


def test_quantised_weights_are_not_trained_in_full(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.engines.policy.find_spec", lambda name: "there")
    with pytest.raises(UserError, match="leaves no weights to train in full"):
        check(training_run(base, tuning="full", hardware={"device": "cpu", "quantization": "8bit"}))


def test_weights_as_they_are_need_no_word_in_a_description(base: Path) -> None:
    plain, quantised = (
        training_run(base, hardware={"device": "cpu", "quantization": bits}) for bits in ("none", "8bit")
    )
    assert "quantization" not in plain.model_dump_json()
    assert plain.digest != quantised.digest
