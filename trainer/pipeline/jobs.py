"""The jobs of a pipeline's stages. Each is a function of the description and of what the stage before it left."""

from __future__ import annotations

from eval.tasks.registry import build_task
from trainer.determinism import derived_seed
from trainer.jobs.evaluate import EvaluateJob
from trainer.jobs.fine_tune import FineTuneJob
from trainer.jobs.settings import SftSettings
from trainer.jobs.train import TrainingRun, TrainJob
from trainer.pipeline.description import Pipeline, Policy
from trainer.pipeline.rewards import weighted_ensemble
from trainer.sft.pairs import file_sha256

_SEED_BITS = 31
"""Seeds of transformers' trainers fit into 32 bits."""


def sft_job(pipeline: Pipeline) -> FineTuneJob:
    """Raises UserError if the file of pairs cannot be read, ValueError where the stage is skipped."""
    stage = pipeline.sft
    if stage.tuning == "none":
        raise ValueError("the supervised stage is skipped")
    return FineTuneJob(
        label=f"{pipeline.name}: sft {stage.tuning}",
        base_model=pipeline.base_model,
        prompt_format=pipeline.prompting.format(pipeline.task),
        task=pipeline.task,
        source=stage.source,
        file_sha256=file_sha256(stage.source.file) if stage.source.file else None,
        settings=SftSettings(
            **stage.model_dump(exclude={"source", "warmup_fraction"}),
            warmup_steps=round(stage.warmup_fraction * stage.steps),
            seed=derived_seed(pipeline.seed, "sft", bits=_SEED_BITS),
        ),
        hardware=pipeline.hardware,
    )


def grpo_job(pipeline: Pipeline, base_model: str, base_digest: str | None) -> TrainJob:
    """`base_model`: the policy to start from; `base_digest`: of the job that made it, if one did.

    Raises UserError for a reward that is not known, ValueError where the stage is skipped.
    """
    stage = pipeline.grpo
    if stage.tuning == "none":
        raise ValueError("the GRPO stage is skipped")
    run = TrainingRun(
        label=f"{pipeline.name}: grpo {stage.tuning}",
        base_model=base_model,
        base_digest=base_digest,
        prompt_format=pipeline.prompting.format(pipeline.task),
        task=pipeline.task,
        ensemble=weighted_ensemble(pipeline.name, stage.rewards, build_task(pipeline.task).answer_format),
        tuning=stage.tuning,
        lora=stage.lora,
        grpo=stage.settings,
        seed=derived_seed(pipeline.seed, "grpo", bits=_SEED_BITS),
        hardware=pipeline.hardware,
        sandbox=pipeline.sandbox,
        failure_rate_limit=stage.failure_rate_limit,
    )
    return TrainJob.of(run)


def suites_job(pipeline: Pipeline, policy: Policy, base_model: str, base_digest: str | None) -> EvaluateJob:
    """Of one of the pipeline's policies. Raises ValueError where there is no evaluation."""
    stage = pipeline.evaluation
    if stage is None:
        raise ValueError("the evaluation is skipped")
    return EvaluateJob(
        label=f"{pipeline.name}: evaluation of {policy}",
        base_model=base_model,
        base_digest=base_digest,
        prompt_format=pipeline.prompting.format(pipeline.task),
        suites=stage.suites,
        max_completion_tokens=stage.max_completion_tokens,
        batch_size=stage.batch_size,
        hardware=pipeline.hardware,
    )
