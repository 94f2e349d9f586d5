"""Runs a training job in this process: trains its runs together, evaluates them in one pass, writes each result."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from eval.engines.base import GenerationEngine
from eval.prediction import Prediction
from eval.tasks.base import Task, examples_of
from rewards_generated.errors import UserError
from trainer.jobs.folder import ADAPTER, RESULT_FILE, hashes, versions, write_model
from trainer.jobs.peak_memory import peak_memory
from trainer.jobs.train import RunResult, TrainJob, TrainResult, member_folder

EVALUATED_TOGETHER = 64
"""Rows of one adapter that the engine decodes together where no evaluation is asked for."""


def run_train(job: TrainJob, folder: Path, started: float) -> TrainResult:
    """Leaves `members/DIGEST/result.json` and `members/DIGEST/adapter` of each run in the folder.

    `started`: when the process began, by `time.perf_counter`. A job that was interrupted goes on from its checkpoint in
    the folder; one whose runs come from others, from their checkpoints in the folders beside it. A job with a stop ends
    there and leaves its checkpoint. Raises UserError for a policy, task or settings that cannot be used.
    """
    import torch

    try:
        return _run(job, folder, started)
    except (torch.OutOfMemoryError, MemoryError) as error:
        reason = str(error).partition("\n")[0] or "the process could not allocate what it needed"
        runs = "one run" if len(job.members) == 1 else f"a pack of {len(job.members)}"
        return TrainResult(
            digest=job.digest,
            failure=f"{runs} is too large for the memory of this machine: {reason}",
            owner="memory",
            versions=versions(),
        )


def _run(job: TrainJob, folder: Path, started: float) -> TrainResult:
    from eval.engines.base import build_engine
    from eval.tasks.registry import build_task
    from rewards_generated.scorer import EnsembleScorer
    from trainer.algorithms import algorithm_of, permit
    from trainer.determinism import make_deterministic
    from trainer.grpo.training import Training
    from trainer.policy import load_base_policy

    shared = job.shared
    before_that = seconds_before(job, folder)
    task = build_task(job.placed_task(shared.task))
    make_deterministic(shared.hardware)
    policy = load_base_policy(
        job.placed(shared.base_model), shared.hardware, shared.prompt_format, called=shared.base_model
    )
    rows = shared.evaluation.batch_size if shared.evaluation else EVALUATED_TOGETHER
    engine = build_engine(shared.engine, policy, rows, folder)
    permit(shared.algorithm)
    algorithm = algorithm_of(shared.algorithm)
    with ExitStack() as stack:
        scorers = [
            stack.enter_context(EnsembleScorer(member.ensemble, member.sandbox, answers=task)) for member in job.members
        ]
        scorings = [
            algorithm.scoring(member, scorer, task) for member, scorer in zip(job.members, scorers, strict=True)
        ]
        training = Training(job, policy, engine, task, scorings, folder)
        seconds = {"start": time.perf_counter() - started}
        training.train()
        for place, scorer in enumerate(scorers):
            for name, why in scorer.recheck().items():
                training.scoring.fail(place, f"reward {name} {why}; none of its values counts")
    memory = peak_memory()
    seconds.update(training.seconds)
    finished = {
        place: member_folder(folder, member) / ADAPTER
        for place, member in enumerate(job.members)
        if place not in training.failures
    }
    for place, adapter in finished.items():
        training.save(place, adapter)
    training.release()
    before = time.perf_counter()
    predictions = _predictions(job, engine, task, finished)
    if predictions:
        seconds["evaluate"] = time.perf_counter() - before
    results = []
    for place, member in enumerate(job.members):
        own = member_folder(folder, member)
        failure = training.failures.get(place)
        result = RunResult(
            digest=member.digest,
            failure=failure,
            owner=None if failure is None else "candidate",
            adapter=ADAPTER if place in finished else None,
            curves=training.curves(place),
            rewards=scorings[place].statistics(),
            samples=tuple(scorings[place].samples),
            predictions=tuple(predictions.get(place, ())),
            # Of the sum over all jobs, each run has the part that it would have with equal work.
            seconds={
                phase: spent / len(job.members) + before_that[place].get(phase, 0.0) for phase, spent in seconds.items()
            },
            memory=memory if len(job.members) == 1 else {},
            versions=versions(),
            sha256=hashes(own, [ADAPTER]) if place in finished else {},
        )
        own.mkdir(parents=True, exist_ok=True)
        write_model(own / RESULT_FILE, result)
        results.append(result)
    training.forget()
    return TrainResult(digest=job.digest, members=tuple(results), seconds=seconds, memory=memory, versions=versions())


def seconds_before(job: TrainJob, folder: Path) -> list[dict[str, float]]:
    """Per run, what it took in the jobs that it came through. Raises UserError if a result of theirs is gone."""
    taken = []
    for member, origin in zip(job.members, job.origins, strict=False):
        path = folder.parent / origin / RESULT_FILE
        try:
            result = TrainResult.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{path}, from which {member.label} has to go on, cannot be read: {error}") from None
        taken.append(next(found.seconds for found in result.members if found.digest == member.digest))
    return taken or [{} for _ in job.members]


def _predictions(
    job: TrainJob, engine: GenerationEngine, task: Task, adapters: dict[int, Path]
) -> dict[int, list[Prediction]]:
    """Of each run that finished, if an evaluation was asked for; all adapters in one pass."""
    from eval.engines.base import Sampling
    from eval.evaluate import evaluate_all

    evaluation = job.shared.evaluation
    if evaluation is None or not adapters:
        return {}
    # After tuning `full` the engine's policy is the tuned one itself.
    folders = [str(folder) if job.shared.tuning == "lora" else None for folder in adapters.values()]
    found = evaluate_all(
        engine,
        task,
        examples_of(task, evaluation.split, evaluation.limit, evaluation.ids),
        Sampling(evaluation.max_completion_tokens),
        adapters=folders,
        second_turn=evaluation.second_turn,
    )
    return dict(zip(adapters, found, strict=True))
