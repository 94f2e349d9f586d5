"""Evaluates one policy on several suites in this process."""

from __future__ import annotations

import time

from trainer.job_folder import versions
from trainer.suites_job import SuitesJob, SuitesResult


def run_suites(job: SuitesJob, started: float) -> SuitesResult:
    """`started`: when the process began, by `time.perf_counter`. Raises UserError for a policy or task that cannot be
    used."""
    from eval.engine import Sampling
    from eval.evaluate import evaluate
    from eval.tasks.registry import build_task
    from eval.transformers_engine import TransformersEngine
    from trainer.determinism import make_deterministic
    from trainer.policy import load_base_policy

    tasks = {name: build_task(suite.task) for name, suite in job.suites.items()}
    make_deterministic(job.hardware)
    engine = TransformersEngine(load_base_policy(job.base_model, job.hardware), job.batch_size)
    ready = time.perf_counter()
    predictions = {
        name: tuple(
            evaluate(
                engine,
                tasks[name],
                tasks[name].examples(suite.split, suite.questions),
                Sampling(job.max_completion_tokens),
            )
        )
        for name, suite in job.suites.items()
    }
    seconds = {"start": ready - started, "evaluate": time.perf_counter() - ready}
    return SuitesResult(digest=job.digest, predictions=predictions, seconds=seconds, versions=versions())
