"""The jobs of a search, built from its configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eval.tasks.base import Split, TaskReference
from rewards_generated.ensemble import Ensemble, Member
from search.config.models import SearchConfig
from search.config.transfer import TransferSetting
from search.ledger import Candidate, Finalist
from trainer.determinism import derived_seed
from trainer.jobs.evaluate import EvaluateJob, Suite
from trainer.jobs.settings import Ids
from trainer.jobs.train import EvaluationRequest, TrainingRun


def jobs_folder(run_folder: Path) -> Path:
    return (run_folder / "jobs").resolve()


def base_members(config: SearchConfig) -> tuple[Member, ...]:
    return tuple(Member(name=name) for name in config.search.base_rewards)


def members_with(config: SearchConfig, candidates: Sequence[Candidate]) -> tuple[Member, ...]:
    """The base rewards and the candidates' members. A base reward is left out where every candidate replaces it: any
    other was trained beside it."""
    replaced = [set(candidate.replaces) for candidate in candidates] or [set()]
    base = [member for member in base_members(config) if member.name not in set.intersection(*replaced)]
    return (*base, *(member for candidate in candidates for member in candidate.members))


def screening_run(
    config: SearchConfig, subject: str, candidate: Candidate | None, seed: int, ids: Ids = None
) -> TrainingRun:
    """The run of one candidate beside the base rewards that it does not replace; None: the base rewards alone. `ids`:
    of the questions that rank, where they are drawn."""
    ensemble = Ensemble(name=subject, members=members_with(config, () if candidate is None else (candidate,)))
    return _training_run(config, f"screening {subject}, seed {seed}", ensemble, config.screening.grpo.steps, seed, ids)


def greedy_run(config: SearchConfig, ensemble: Ensemble, seed: int, ids: Ids = None) -> TrainingRun:
    """The short run of one addition that greedy selection tries."""
    return _training_run(config, f"trying {ensemble.name}, seed {seed}", ensemble, config.greedy_steps, seed, ids)


def retraining_run(config: SearchConfig, finalist: Finalist, seed: int, ids: Ids = None) -> TrainingRun:
    label = f"retraining {finalist.name}, seed {seed}"
    return _training_run(config, label, finalist.ensemble, finalist.steps, seed, ids)


def transfer_run(config: SearchConfig, finalist: Finalist, setting: TransferSetting, seed: int) -> TrainingRun:
    """The run of a finalist under another setting, which answers the test split."""
    name = transfer_subject(setting, finalist.name)
    ensemble = finalist.ensemble.model_copy(update={"name": name})
    run = _training_run(config, f"transfer, {name}, seed {seed}", ensemble, finalist.steps, seed, None)
    assert run.evaluation is not None
    asked = run.evaluation.model_copy(update={"split": "test", "limit": config.finals.test_questions})
    changes = {"grpo": setting.of(run.grpo), "base_model": setting.base_model or run.base_model, "evaluation": asked}
    return run.model_copy(update=changes)


def transfer_subject(setting: TransferSetting, finalist: str) -> str:
    """In the ledger."""
    return f"{setting.name}: {finalist}"


def _training_run(config: SearchConfig, label: str, ensemble: Ensemble, steps: int, seed: int, ids: Ids) -> TrainingRun:
    screening = config.screening
    return TrainingRun(
        label=label,
        base_model=config.base_model,
        prompt_format=config.prompting.format(config.task),
        task=config.task,
        ensemble=ensemble,
        algorithm=screening.algorithm,
        lora=screening.lora,
        grpo=screening.grpo.model_copy(update={"steps": steps}),
        seed=seed,
        engine=config.engine.pinned(),
        evaluation=EvaluationRequest(
            split=config.search.select_on,
            limit=config.question_pool,
            ids=ids,
            max_completion_tokens=screening.grpo.max_completion_tokens,
            batch_size=screening.evaluation_batch_size,
            second_turn=config.second_turn,
        ),
        hardware=config.hardware,
        sandbox=config.sandbox,
        failure_rate_limit=screening.failure_rate_limit,
    )


def base_rollouts_job(config: SearchConfig) -> EvaluateJob:
    """Sampled completions of the base policy on train questions."""
    suite = Suite(task=config.task, split="train", questions=config.search.base_rollouts.questions)
    return _sampling_job(config, "rollouts of the base policy", suite, "base rollouts")


def question_pool_job(config: SearchConfig) -> EvaluateJob:
    """Likewise on the questions from which those that rank are drawn."""
    suite = Suite(task=config.task, split=config.search.select_on, questions=config.question_pool)
    return _sampling_job(config, "base mass of questions", suite, "question pool")


def _sampling_job(config: SearchConfig, label: str, suite: Suite, purpose: str) -> EvaluateJob:
    rollouts = config.search.base_rollouts
    return EvaluateJob(
        label=label,
        base_model=config.base_model,
        prompt_format=config.prompting.format(config.task),
        suites={suite.split: suite},
        max_completion_tokens=config.screening.grpo.max_completion_tokens,
        temperature=rollouts.temperature,
        samples_per_question=rollouts.per_question,
        seed=derived_seed(config.seed, purpose, bits=31),
        batch_size=config.screening.evaluation_batch_size,
        engine=config.engine.pinned(),
        hardware=config.hardware,
    )


def evaluation_job(
    config: SearchConfig,
    suite: Suite,
    label: str,
    adapters: Sequence[tuple[str, Path] | None] = (None,),
    max_completion_tokens: int | None = None,
) -> EvaluateJob:
    """Greedy answers to a suite; each adapter is the digest of its training run and its folder, None the base."""
    return EvaluateJob(
        label=label,
        base_model=config.base_model,
        prompt_format=config.prompting.format(config.task),
        adapters=tuple(str(adapter[1]) if adapter else None for adapter in adapters),
        adapter_digests=tuple(adapter[0] if adapter else None for adapter in adapters),
        suites={"questions": suite},
        max_completion_tokens=max_completion_tokens or config.screening.grpo.max_completion_tokens,
        batch_size=config.screening.evaluation_batch_size,
        second_turn=config.second_turn,
        engine=config.engine.pinned(),
        hardware=config.hardware,
    )


def split_of(config: SearchConfig, split: Split, ids: Ids = None) -> Suite:
    """The questions of the search's own task that a split is judged by; `ids`: of those that rank, where they are
    drawn."""
    questions = config.finals.test_questions if split == "test" else config.question_pool
    return Suite(task=config.task, split=split, questions=questions, ids=ids)


def suite_job(
    config: SearchConfig, task: TaskReference, label: str, adapters: Sequence[tuple[str, Path] | None]
) -> EvaluateJob:
    """Greedy answers to the test split of another task."""
    finals = config.finals
    suite = Suite(task=task, questions=finals.ood_questions)
    return evaluation_job(config, suite, label, adapters, finals.ood_completion_tokens)
