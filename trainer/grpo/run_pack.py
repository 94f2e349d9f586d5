"""Runs a pack in this process: trains its members together, evaluates them in one pass, writes each one's result."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from eval.engines.policy import Policy
from eval.prediction import Prediction
from eval.tasks.base import Task
from rewards_generated.errors import UserError
from trainer.jobs.folder import ADAPTER, MEMBERS, RESULT_FILE, versions, write_atomically
from trainer.jobs.pack import PackJob, PackResult, PackTooLarge
from trainer.jobs.train import TrainResult


def run_pack(job: PackJob, folder: Path, started: float) -> PackResult:
    """Leaves `members/DIGEST/result.json` and `members/DIGEST/adapter` of each member in the folder.

    `started`: when the process began, by `time.perf_counter`. A pack that was interrupted goes on from its checkpoint
    in the folder; one whose members come from others, from their checkpoints in the folders beside it. A pack with a
    stop ends there and leaves its checkpoint. Raises UserError for a policy, task or settings that cannot be used.
    """
    import torch

    try:
        return _run(job, folder, started)
    except (torch.OutOfMemoryError, MemoryError, PackTooLarge) as error:
        reason = str(error).partition("\n")[0] or "the process could not allocate what it needed"
        return PackResult(
            digest=job.digest,
            failure=f"a pack of {len(job.members)} is too large for the memory of this machine: {reason}",
            too_large=True,
            versions=versions(),
        )


def _run(job: PackJob, folder: Path, started: float) -> PackResult:
    from eval.tasks.registry import build_task
    from rewards_generated.scorer import EnsembleScorer
    from trainer.determinism import make_deterministic
    from trainer.grpo.run import PackRun
    from trainer.multilayer.scoring import scoring_for
    from trainer.policy import load_base_policy

    shared = job.shared
    before_that = seconds_before(job, folder)
    task = build_task(shared.task)
    make_deterministic(shared.hardware)
    policy = load_base_policy(shared.base_model, shared.hardware)
    seconds: dict[str, float] = {}
    with ExitStack() as stack:
        scorings = [
            scoring_for(member, stack.enter_context(EnsembleScorer(member.ensemble, member.sandbox)), task)
            for member in job.members
        ]
        run = PackRun(job, policy, task, scorings, folder)
        seconds["start"] = time.perf_counter() - started
        run.train()
    seconds.update(run.seconds)
    finished = {
        place: folder / MEMBERS / member.digest / ADAPTER
        for place, member in enumerate(job.members)
        if place not in run.failures
    }
    for place, adapter in finished.items():
        run.save(place, adapter)
    before = time.perf_counter()
    predictions = _predictions(job, run.release(), task, finished)
    seconds["evaluate"] = time.perf_counter() - before
    results = []
    for place, member in enumerate(job.members):
        result = TrainResult(
            digest=member.digest,
            failure=run.failures.get(place),
            adapter=ADAPTER if place in finished else None,
            curves=run.curves(place),
            rewards=scorings[place].statistics(),
            samples=tuple(scorings[place].samples),
            predictions=tuple(predictions.get(place, ())),
            # Of the sum over all jobs, each member has the part that it would have with equal work.
            seconds={
                phase: spent / len(job.members) + before_that[place].get(phase, 0.0) for phase, spent in seconds.items()
            },
            versions=versions(),
        )
        member_folder = folder / MEMBERS / member.digest
        member_folder.mkdir(parents=True, exist_ok=True)
        write_atomically(member_folder / RESULT_FILE, result)
        results.append(result)
    run.forget()
    return PackResult(digest=job.digest, members=tuple(results), seconds=seconds, versions=versions())


def seconds_before(job: PackJob, folder: Path) -> list[dict[str, float]]:
    """Per member, what it took in the packs that it came through. Raises UserError if a result of theirs is gone."""
    taken = []
    for member, origin in zip(job.members, job.origins, strict=False):
        path = folder.parent / origin / RESULT_FILE
        try:
            result = PackResult.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{path}, from which {member.label} has to go on, cannot be read: {error}") from None
        taken.append(next(found.seconds for found in result.members if found.digest == member.digest))
    return taken or [{} for _ in job.members]


def _predictions(job: PackJob, policy: Policy, task: Task, adapters: dict[int, Path]) -> dict[int, list[Prediction]]:
    """Of each member that finished, if an evaluation was asked for; all adapters in one pass."""
    from eval.engines.base import Sampling
    from eval.engines.transformers_engine import TransformersEngine
    from eval.evaluate import evaluate_all

    evaluation = job.shared.evaluation
    if evaluation is None or not adapters:
        return {}
    found = evaluate_all(
        TransformersEngine(policy, evaluation.batch_size),
        task,
        task.examples(evaluation.split, evaluation.limit),
        Sampling(evaluation.max_completion_tokens),
        adapters=[str(adapter) for adapter in adapters.values()],
        second_turn=evaluation.second_turn,
    )
    return dict(zip(adapters, found, strict=True))
