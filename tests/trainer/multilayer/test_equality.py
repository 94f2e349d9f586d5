"""A second layer that is switched off leaves GRPO as it is; a pack with two layers is its members by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.multilayer.runs import layered_run, pack_run
from tests.trainer.tiny import write_policy
from trainer.jobs.settings import AlgorithmSettings


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp("policy"))


STEPS: dict[str, Any] = {"steps": 3, "prompts_per_step": 2, "generations": 3, "max_gradient_norm": 0.05}


def test_without_a_second_layer_it_is_grpo_exactly(base: Path, tmp_path: Path) -> None:
    layered = layered_run(base, "same", grpo=STEPS, multilayer={"corrections": 0})
    plain = layered.model_copy(update={"algorithm": AlgorithmSettings()})
    runs = []
    for job in (layered, plain):
        runs.append(pack_run(base, tmp_path / job.algorithm.name, [job], force=False, dtype="float32"))
        runs[-1].train()
    found, expected = (run.tuned.state(0) for run in runs)
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())
    assert any(weight.any() for name, weight in expected.items() if "lora_B" in name)
    assert runs[0].curves(0) == runs[1].curves(0)
    assert layered.digest != plain.digest


@pytest.mark.parametrize(
    ("multilayer", "grpo"),
    [
        ({"select": "wrong", "responses": 2, "corrections": 3}, {"beta": 0.3}),
        pytest.param(
            {"group": "question", "corrections": 2, "updates": "alternating"}, {"loss": "dapo"}, marks=pytest.mark.slow
        ),
        pytest.param(
            {"reward_confirming": False, "select": "mixed", "corrections": 2},
            {"completions_per_forward": 3},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["wrong, beta", "by question, alternating, dapo", "mixed, micro-batches"],
)
def test_a_pack_ends_with_the_adapters_of_runs_by_themselves(
    base: Path, tmp_path: Path, multilayer: dict[str, Any], grpo: dict[str, Any]
) -> None:
    settings = {"grpo": {**STEPS, **grpo}, "multilayer": multilayer}
    jobs = [
        layered_run(base, "plain", 1.0, **settings),
        layered_run(base, "gaps", 30.0, 5, **settings),
        layered_run(base, "normalised", 2.0, aggregation="group_normalised", seed=5, **settings),
    ]
    run = pack_run(base, tmp_path / "pack", jobs)
    run.train()
    assert run.failures == {}
    for place, job in enumerate(jobs):
        single = pack_run(base, tmp_path / job.label, [job])
        single.train()
        found, expected = run.tuned.state(place), single.tuned.state(0)
        assert found.keys() == expected.keys()
        for name, weight in expected.items():
            assert torch.allclose(found[name], weight, rtol=0, atol=1e-12), (job.label, name)
        assert max(weight.abs().max() for name, weight in expected.items() if "lora_B" in name) > 1e-2
        for mine, theirs in zip(run.curves(place), single.curves(0), strict=True):
            assert mine.keys() == theirs.keys()
            assert mine["layers"] == theirs["layers"]
            assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-6, abs=1e-6)
            assert mine["gradient_norm"] == pytest.approx(theirs["gradient_norm"], rel=1e-9)
            for figure in ("truncated", "groups_without_spread"):
                assert mine.get(figure) == pytest.approx(theirs.get(figure))
            assert mine.get("layer2", {}).keys() == theirs.get("layer2", {}).keys()
            for name, value in theirs.get("layer2", {}).items():
                if name != "rewards":
                    assert mine["layer2"][name] == pytest.approx(value), name


def test_a_pack_that_stops_within_a_pair_of_alternating_steps_goes_on_in_another(base: Path, tmp_path: Path) -> None:
    grpo = {**STEPS, "steps": 4}
    multilayer = {"updates": "alternating", "corrections": 2}
    jobs = [layered_run(base, name, grpo=grpo, multilayer=multilayer) for name in ("one", "other")]
    whole = pack_run(base, tmp_path / "whole", jobs)
    whole.train()
    stopped = pack_run(base, tmp_path / "none", jobs, stop=1)
    folder = tmp_path / stopped.job.digest
    stopped = pack_run(base, folder, jobs, stop=1)
    stopped.train()
    rest = pack_run(base, tmp_path / "rest", jobs, origins=(stopped.job.digest,) * 2)
    rest.train()
    for place in range(2):
        assert rest.curves(place) == whole.curves(place)
        expected = whole.tuned.state(place)
        assert all(torch.equal(weight, expected[name]) for name, weight in rest.tuned.state(place).items())
