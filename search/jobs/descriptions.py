"""The jobs of a search, built from its configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eval.tasks.base import Split, TaskReference
from rewards_generated.ensemble import Ensemble, Member
from search.config.models import SearchConfig
from search.ledger import Finalist
from trainer.determinism import derived_seed
from trainer.jobs.evaluate import EvaluationJob
from trainer.jobs.train import EvaluationRequest, TrainJob

BASE_ONLY = "base-rewards-only"
"""Subject of runs without any candidate."""
UNTRAINED = "untrained-base"
"""Subject of evaluations of the base policy itself."""


def jobs_folder(run_folder: Path) -> Path:
    return (run_folder / "jobs").resolve()


def base_members(config: SearchConfig) -> tuple[Member, ...]:
    return tuple(Member(name=name) for name in config.search.base_rewards)


def screening_job(config: SearchConfig, subject: str, code: str | None, seed: int) -> TrainJob:
    """The run of one candidate beside the base rewards; `code` None: the base rewards alone."""
    candidate = () if code is None else (Member(name=subject, code=code),)
    ensemble = Ensemble(name=subject, members=(*base_members(config), *candidate))
    return _train_job(config, f"screening {subject}, seed {seed}", ensemble, config.screening.grpo.steps, seed)


def greedy_job(config: SearchConfig, ensemble: Ensemble, seed: int) -> TrainJob:
    """The short run of one addition that greedy selection tries."""
    return _train_job(config, f"trying {ensemble.name}, seed {seed}", ensemble, config.greedy_steps, seed)


def retraining_job(config: SearchConfig, finalist: Finalist, seed: int) -> TrainJob:
    return _train_job(config, f"retraining {finalist.name}, seed {seed}", finalist.ensemble, finalist.steps, seed)


def _train_job(config: SearchConfig, label: str, ensemble: Ensemble, steps: int, seed: int) -> TrainJob:
    screening = config.screening
    return TrainJob(
        label=label,
        base_model=config.base_model,
        task=config.task,
        ensemble=ensemble,
        algorithm=screening.algorithm,
        multilayer=screening.multilayer if screening.algorithm == "multilayer" else None,
        lora=screening.lora,
        grpo=screening.grpo.model_copy(update={"steps": steps}),
        seed=seed,
        evaluation=EvaluationRequest(
            split=config.search.select_on,
            limit=config.selection_questions,
            max_completion_tokens=screening.grpo.max_completion_tokens,
            batch_size=screening.evaluation_batch_size,
            second_turn=config.second_turn,
        ),
        hardware=config.hardware,
        sandbox=config.sandbox,
        failure_rate_limit=screening.failure_rate_limit,
    )


def base_rollouts_job(config: SearchConfig) -> EvaluationJob:
    """Sampled completions of the base policy on train questions."""
    rollouts = config.search.base_rollouts
    return EvaluationJob(
        label="rollouts of the base policy",
        base_model=config.base_model,
        task=config.task,
        split="train",
        limit=rollouts.questions,
        max_completion_tokens=config.screening.grpo.max_completion_tokens,
        temperature=rollouts.temperature,
        samples_per_question=rollouts.per_question,
        seed=derived_seed(config.seed, "base rollouts", bits=31),
        batch_size=config.screening.evaluation_batch_size,
        hardware=config.hardware,
    )


def evaluation_job(
    config: SearchConfig,
    split: Split,
    limit: int,
    label: str,
    adapters: Sequence[tuple[str, Path] | None] = (None,),
) -> EvaluationJob:
    """Greedy answers on a split; each adapter is the digest of its training job and its folder, None the base."""
    return EvaluationJob(
        label=label,
        base_model=config.base_model,
        task=config.task,
        adapters=tuple(str(adapter[1]) if adapter else None for adapter in adapters),
        adapter_digests=tuple(adapter[0] if adapter else None for adapter in adapters),
        split=split,
        limit=limit,
        max_completion_tokens=config.screening.grpo.max_completion_tokens,
        batch_size=config.screening.evaluation_batch_size,
        second_turn=config.second_turn,
        hardware=config.hardware,
    )


def suite_job(
    config: SearchConfig, task: TaskReference, label: str, adapters: Sequence[tuple[str, Path] | None]
) -> EvaluationJob:
    """Greedy answers to the test split of another task."""
    finals = config.finals
    job = evaluation_job(config, "test", finals.ood_questions, label, adapters)
    longest = finals.ood_completion_tokens or job.max_completion_tokens
    return job.model_copy(update={"task": task, "max_completion_tokens": longest})
