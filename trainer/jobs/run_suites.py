"""Evaluates a policy, and adapters of it, on several suites in this process."""

from __future__ import annotations

import time

from trainer.jobs.folder import versions
from trainer.jobs.suites import SuitesJob, SuitesResult


def run_suites(job: SuitesJob, started: float) -> SuitesResult:
    """`started`: when the process began, by `time.perf_counter`. Raises UserError for a policy or task that cannot be
    used."""
    from eval.engines.base import Sampling
    from eval.engines.transformers_engine import TransformersEngine
    from eval.evaluate import evaluate_all
    from eval.tasks.registry import build_task
    from trainer.determinism import make_deterministic
    from trainer.policy import load_base_policy

    tasks = {name: build_task(suite.task) for name, suite in job.suites.items()}
    make_deterministic(job.hardware)
    engine = TransformersEngine(load_base_policy(job.base_model, job.hardware), job.batch_size)
    ready = time.perf_counter()
    answers = {
        name: evaluate_all(
            engine,
            tasks[name],
            tasks[name].examples(suite.split, suite.questions),
            Sampling(job.max_completion_tokens),
            adapters=job.adapters,
        )
        for name, suite in job.suites.items()
    }
    predictions = tuple(
        {name: tuple(found[place]) for name, found in answers.items()} for place in range(len(job.adapters))
    )
    seconds = {"start": ready - started, "evaluate": time.perf_counter() - ready}
    return SuitesResult(digest=job.digest, predictions=predictions, seconds=seconds, versions=versions())
