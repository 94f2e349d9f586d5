"""A pipeline in its folder: what each stage leaves, what a skipped one changes, and that an interruption changes
nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rewards_generated.errors import UserError
from tests.trainer.pipeline.tiny import tiny_pipeline, write_pairs
from tests.trainer.tiny import COUNTS_SO, write_policy
from trainer.jobs.base import Done, Job
from trainer.jobs.fine_tune import FineTuneJob
from trainer.jobs.process import run_here
from trainer.jobs.train import TrainJob
from trainer.pipeline.description import Pipeline
from trainer.pipeline.result import PipelineResult
from trainer.pipeline.run import recorded_pipeline, run_pipeline


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs") / "pairs.jsonl")


@pytest.fixture(scope="module")
def whole(base: Path, pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, Path, PipelineResult]:
    pipeline = tiny_pipeline(base, pairs)
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return pipeline, folder, run_pipeline(pipeline, folder)


class Interrupted(Exception):
    pass


def weights(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def logits(folder: Path, adapter: Path | None = None) -> Any:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter))
    with torch.no_grad():
        return model.eval()(torch.tensor([[2, 5, 24, 6, 25]])).logits


def test_every_stage_leaves_its_policy_and_its_record(whole: tuple[Pipeline, Path, PipelineResult]) -> None:
    pipeline, folder, result = whole
    assert result.failure is None
    assert PipelineResult.model_validate_json((folder / "result.json").read_bytes()) == result
    assert recorded_pipeline(folder) == pipeline
    sft, grpo = result.stages["sft"], result.stages["grpo"]
    assert sft.losses[1] < sft.losses[0]
    assert [(reward.name, reward.calls) for reward in grpo.rewards] == [("format_approximate", 16), ("accuracy", 16)]
    assert len(grpo.trajectory["fires: accuracy"]) == len(grpo.trajectory["completion_tokens"]) == 2
    assert min(sft.memory["resident"], grpo.memory["resident"]) > 10**8
    assert list(result.scores) == ["base", "sft", "grpo"]
    assert [suite.accuracy.n for suite in result.scores["sft"].values()] == [12, 15]
    assert len({weights(folder / place) for place in ("sft/policy", "grpo/policy")}) == 2
    assert (folder / "policy").resolve() == (folder / "grpo" / "policy").resolve()


def test_adapters_are_merged_into_the_base_that_they_were_trained_on(
    whole: tuple[Pipeline, Path, PipelineResult],
) -> None:
    import torch

    pipeline, folder, _ = whole
    base = Path(pipeline.base_model)
    for before, stage in ((base, "sft"), (folder / "sft" / "policy", "grpo")):
        merged = logits(folder / stage / "policy")
        assert torch.allclose(merged, logits(before, folder / stage / "adapter"), atol=1e-5)
        assert not torch.allclose(merged, logits(before), atol=1e-4)


def test_what_it_leaves_is_a_base_model(whole: tuple[Pipeline, Path, PipelineResult], tmp_path: Path) -> None:
    pipeline, folder, _ = whole
    further = tiny_pipeline(folder / "policy", Path(pipeline.sft.source.file or ""), sft={"tuning": "none"})
    assert run_pipeline(further, tmp_path / "further").failure is None


@pytest.mark.parametrize("killed", [FineTuneJob, TrainJob])
def test_an_interruption_between_stages_changes_nothing(
    whole: tuple[Pipeline, Path, PipelineResult], tmp_path: Path, killed: type
) -> None:
    pipeline, folder, _ = whole
    ran: list[str] = []

    def until_killed(jobs: Sequence[Job], jobs_folder: Path) -> Iterator[Done]:
        for done in run_here(jobs, jobs_folder):
            if isinstance(done.job, killed):
                raise Interrupted
            yield done

    def counted(jobs: Sequence[Job], jobs_folder: Path) -> Iterator[Done]:
        ran.extend(job.kind for job in jobs if not (jobs_folder / job.digest / "result.json").is_file())
        return run_here(jobs, jobs_folder)

    with pytest.raises(Interrupted):
        run_pipeline(pipeline, tmp_path / "again", until_killed)
    result = run_pipeline(pipeline, tmp_path / "again", counted, resume=True)
    assert ran == (["train"] if killed is FineTuneJob else []) + ["evaluate"] * 3
    assert weights(tmp_path / "again" / "policy") == weights(folder / "policy")
    assert result.scores == whole[2].scores
    assert run_pipeline(pipeline, tmp_path / "again", counted, resume=True) == result
    assert len(ran) == (4 if killed is FineTuneJob else 3)


def test_every_setting_of_a_stage_reaches_its_job(base: Path, pairs: Path) -> None:
    from trainer.pipeline.jobs import grpo_job, sft_job, suites_job

    changed = {
        "batch_size": 3,
        "learning_rate": 0.5,
        "learning_rate_schedule": "linear",
        "weight_decay": 0.25,
        "max_gradient_norm": 2.0,
        "max_length": 77,
        "mixed_precision": True,
        "checkpoint_steps": 5,
    }
    pipeline = tiny_pipeline(base, pairs, sft={**changed, "steps": 20, "warmup_fraction": 0.25})
    settings = sft_job(pipeline).settings
    assert settings.model_dump(include=set(changed)) == changed
    assert (settings.warmup_steps, settings.tuning, settings.lora.rank) == (5, "lora", 4)
    job = grpo_job(tiny_pipeline(base, pairs, grpo={"failure_rate_limit": 0.3, "tuning": "full"}), "x", None).shared
    assert (job.failure_rate_limit, job.tuning, job.lora.rank, job.grpo.steps) == (0.3, "full", 4, 2)
    assert job.seed != settings.seed
    asked = suites_job(tiny_pipeline(base, pairs, evaluation={"batch_size": 9}), "base", "x", None)
    assert (asked.batch_size, asked.max_completion_tokens) == (9, 8)
    only = tiny_pipeline(base, pairs, evaluation={"policies": ["grpo", "base"]}).evaluation
    assert only is not None
    assert only.policies == ("base", "grpo")


def test_the_same_pipeline_elsewhere_has_the_same_jobs(
    whole: tuple[Pipeline, Path, PipelineResult], tmp_path: Path
) -> None:
    """A policy made by a job counts by what made it, not by where it lies; a base of the user's by its name."""
    from trainer.pipeline.jobs import grpo_job

    pipeline = whole[0]
    assert grpo_job(pipeline, "/a", "made").digest == grpo_job(pipeline, "/b", "made").digest
    assert grpo_job(pipeline, "/a", "made").digest != grpo_job(pipeline, "/a", "other").digest
    assert grpo_job(pipeline, "/a", None).digest != grpo_job(pipeline, "/b", None).digest


@pytest.mark.parametrize(
    ("sft", "grpo", "left", "answered"),
    [
        ("full", "none", "sft/policy", ["base", "sft"]),
        ("none", "full", "grpo/adapter", ["base", "grpo"]),
        ("none", "none", None, ["base"]),
    ],
)
def test_any_stage_can_be_skipped(
    base: Path, pairs: Path, tmp_path: Path, sft: str, grpo: str, left: str | None, answered: list[str]
) -> None:
    pipeline = tiny_pipeline(base, pairs, sft={"tuning": sft}, grpo={"tuning": grpo})
    result = run_pipeline(pipeline, tmp_path / "run")
    assert result.failure is None
    assert list(result.scores) == answered
    if left is None:
        assert result.policy is None
        assert not (tmp_path / "run" / "policy").exists()
    else:
        assert (tmp_path / "run" / "policy").resolve() == (tmp_path / "run" / left).resolve()
        assert logits(tmp_path / "run" / "policy").shape[-1] == logits(base).shape[-1]


def test_a_stage_that_fails_is_said_and_the_policies_before_it_are_evaluated(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(COUNTS_SO.replace('float(completion.split().count("so"))', "1.0 / 0"))
    pipeline = tiny_pipeline(base, pairs, grpo={"rewards": {str(broken): 1.0}})
    result = run_pipeline(pipeline, tmp_path / "run")
    assert result.failure is not None
    assert result.failure.startswith("grpo: reward broken failed")
    assert result.stages["grpo"].policy is None
    assert list(result.scores) == ["base", "sft"]
    assert result.policy == "sft/policy"


def test_a_folder_of_another_pipeline_is_refused(whole: tuple[Pipeline, Path, PipelineResult], tmp_path: Path) -> None:
    pipeline, folder, _ = whole
    with pytest.raises(UserError, match="continue it with --resume"):
        run_pipeline(pipeline, folder)
    with pytest.raises(UserError, match="another description"):
        run_pipeline(pipeline.model_copy(update={"seed": 4}), folder, resume=True)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"no pipeline.json"):
        run_pipeline(pipeline, tmp_path, resume=True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sft": {"source": {"file": "/no/such.jsonl"}}}, "cannot be read"),
        ({"sft": {"source": {}}}, "has no worked solutions"),
        ({"grpo": {"rewards": {"accurracy": 1.0}}}, "accuracy"),
        ({"grpo": {"rewards": {"/no/such.py": 1.0}}}, "does not exist"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_written(
    base: Path, pairs: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        run_pipeline(tiny_pipeline(base, pairs, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_pipeline_without_any_stage_is_refused(base: Path, pairs: Path, tmp_path: Path) -> None:
    pipeline = tiny_pipeline(base, pairs, sft={"tuning": "none"}, grpo={"tuning": "none"})
    with pytest.raises(UserError, match="every stage is skipped"):
        run_pipeline(pipeline.model_copy(update={"evaluation": None}), tmp_path / "run")
