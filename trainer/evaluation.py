"""Evaluates a policy, and adapters of it, on one or several suites in this process."""

from __future__ import annotations

import time
from pathlib import Path

from trainer.jobs.evaluate import EvaluateJob, EvaluateResult
from trainer.jobs.folder import versions


def run_evaluate(job: EvaluateJob, folder: Path, started: float) -> EvaluateResult:
    """`started`: when the process began, by `time.perf_counter`. Raises UserError for a policy, task or engine that
    cannot be used."""
    from eval.engines.base import Sampling, build_engine
    from eval.evaluate import evaluate_all
    from eval.tasks.base import examples_of
    from eval.tasks.registry import build_task
    from trainer.determinism import make_deterministic
    from trainer.policy import load_base_policy

    tasks = {name: build_task(job.placed_task(suite.task)) for name, suite in job.suites.items()}
    make_deterministic(job.hardware)
    policy = load_base_policy(job.placed(job.base_model), job.hardware, job.prompt_format)
    engine = build_engine(job.engine, policy, job.batch_size, folder)
    adapters = [adapter and job.placed(adapter) for adapter in job.adapters]
    ready = time.perf_counter()
    answers = {
        name: evaluate_all(
            engine,
            tasks[name],
            examples_of(tasks[name], suite.split, suite.questions, suite.ids),
            Sampling(job.max_completion_tokens, job.temperature, seed=job.seed),
            adapters=adapters,
            samples_per_question=job.samples_per_question,
            second_turn=job.second_turn,
        )
        for name, suite in job.suites.items()
    }
    predictions = tuple(
        {name: tuple(found[place]) for name, found in answers.items()} for place in range(len(job.adapters))
    )
    seconds = {"start": ready - started, "evaluate": time.perf_counter() - ready}
    return EvaluateResult(digest=job.digest, predictions=predictions, seconds=seconds, versions=versions())
