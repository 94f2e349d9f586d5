"""Runs one job in this process: `python -m trainer.jobs.process FOLDER`.

Reads FOLDER/job.json, and leaves FOLDER/result.json (written last, by atomic rename), FOLDER/adapter and
FOLDER/log.txt. Exit codes: 0 the result is whole, 1 the job failed and the result says why, 2 there is no job.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from rewards_generated.errors import UserError
from trainer.jobs.evaluate import EvaluationJob, EvaluationResult
from trainer.jobs.folder import ADAPTER, JOB_FILE, LOG_FILE, RESULT_FILE, versions, write_atomically
from trainer.jobs.lifeline import hold_on_to
from trainer.jobs.pack import PackJob, PackResult
from trainer.jobs.peak_memory import peak_memory
from trainer.jobs.sft import SftJob, SftJobResult
from trainer.jobs.suites import SuitesJob, SuitesResult
from trainer.jobs.train import TrainJob, TrainResult

AnyJob = TrainJob | EvaluationJob | PackJob | SftJob | SuitesJob
AnyResult = TrainResult | EvaluationResult | PackResult | SftJobResult | SuitesResult
Job = Annotated[AnyJob, Field(discriminator="kind")]
RESULTS: dict[str, type[AnyResult]] = {
    "train": TrainResult,
    "pack": PackResult,
    "evaluation": EvaluationResult,
    "sft": SftJobResult,
    "suites": SuitesResult,
}
"""Kind of job -> what comes back."""

logger = logging.getLogger("trainer")


def run(folder: Path) -> AnyResult:
    """Runs the job of the folder and writes its result. Raises UserError if there is no valid job."""
    started = time.perf_counter()
    job = read_job(folder)
    logger.info("%s job %s: %s", job.kind, job.digest[:12], job.label)
    result: AnyResult
    try:
        if isinstance(job, TrainJob):
            result = _train(job, folder, started)
        elif isinstance(job, PackJob):
            from trainer.grpo.run_pack import run_pack

            result = run_pack(job, folder, started)
        elif isinstance(job, SftJob):
            from trainer.sft.run_sft import run_sft

            result = run_sft(job, folder, started)
        elif isinstance(job, SuitesJob):
            from trainer.jobs.run_suites import run_suites

            result = run_suites(job, started)
        else:
            result = _evaluate(job, started)
    except UserError as error:
        result = RESULTS[job.kind](digest=job.digest, failure=str(error), versions=versions())
    write_atomically(folder / RESULT_FILE, result)
    logger.info("done: %s", result.failure or ", ".join(f"{name} {s:.1f} s" for name, s in result.seconds.items()))
    return result


def read_job(folder: Path) -> AnyJob:
    """The job that the folder describes. Raises UserError if there is none or it is malformed."""
    path = folder / JOB_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    adapter: TypeAdapter[AnyJob] = TypeAdapter(Job)
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path} is no job: {place}: {first['msg']}") from error


def _train(job: TrainJob, folder: Path, started: float) -> TrainResult:
    from eval.engines.base import Sampling
    from eval.engines.transformers_engine import TransformersEngine
    from eval.evaluate import evaluate
    from eval.prediction import Prediction
    from eval.tasks.registry import build_task
    from rewards_generated.scorer import EnsembleScorer
    from trainer.determinism import make_deterministic
    from trainer.grpo.rewards import RunUnscored
    from trainer.grpo.single import GrpoRun
    from trainer.multilayer.scoring import scoring_for
    from trainer.policy import load_base_policy

    task = build_task(job.task)
    make_deterministic(job.hardware)
    policy = load_base_policy(job.base_model, job.hardware)
    seconds: dict[str, float] = {}
    predictions: list[Prediction] = []
    adapter: str | None = None
    failure: str | None = None
    with EnsembleScorer(job.ensemble, job.sandbox) as scorer:
        scoring = scoring_for(job, scorer, task)
        run = GrpoRun(job, policy, task, scoring, folder)
        seconds["start"] = time.perf_counter() - started
        try:
            run.train()
        except (RunUnscored, FloatingPointError) as error:
            failure = str(error)
    seconds.update(run.seconds)
    memory = peak_memory()
    if failure is None:
        run.save(folder / ADAPTER)
        adapter = ADAPTER
        if job.evaluation is not None:
            before = time.perf_counter()
            predictions = evaluate(
                TransformersEngine(run.release(), job.evaluation.batch_size),
                task,
                task.examples(job.evaluation.split, job.evaluation.limit),
                Sampling(job.evaluation.max_completion_tokens),
                adapter=str(folder / ADAPTER) if job.tuning == "lora" else None,
                second_turn=job.evaluation.second_turn,
            )
            seconds["evaluate"] = time.perf_counter() - before
    return TrainResult(
        digest=job.digest,
        failure=failure,
        adapter=adapter,
        curves=run.curves,
        rewards=scoring.statistics(),
        samples=tuple(scoring.samples),
        predictions=tuple(predictions),
        seconds=seconds,
        memory=memory,
        versions=versions(),
    )


def _evaluate(job: EvaluationJob, started: float) -> EvaluationResult:
    from eval.engines.base import Sampling
    from eval.engines.transformers_engine import TransformersEngine
    from eval.evaluate import evaluate_all
    from eval.tasks.registry import build_task
    from trainer.determinism import make_deterministic
    from trainer.policy import load_base_policy

    task = build_task(job.task)
    make_deterministic(job.hardware)
    engine = TransformersEngine(load_base_policy(job.base_model, job.hardware), job.batch_size)
    examples = task.examples(job.split, job.limit)
    sampling = Sampling(job.max_completion_tokens, job.temperature, seed=job.seed)
    ready = time.perf_counter()
    found = evaluate_all(
        engine,
        task,
        examples,
        sampling,
        adapters=job.adapters,
        samples_per_question=job.samples_per_question,
        second_turn=job.second_turn,
    )
    predictions = tuple(tuple(answers) for answers in found)
    seconds = {"start": ready - started, "evaluate": time.perf_counter() - ready}
    return EvaluationResult(digest=job.digest, predictions=predictions, seconds=seconds, versions=versions())


def _redirect_output(folder: Path) -> None:
    """Sends everything that this process prints, and what its libraries print, to the folder's log."""
    log = os.open(folder / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", stream=sys.stderr, force=True)
    logger.setLevel(logging.INFO)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m trainer.jobs.process", description="Runs the job of one folder.")
    parser.add_argument("folder", type=Path, help=f"holds {JOB_FILE}; receives {RESULT_FILE}, {LOG_FILE} and adapter")
    parser.add_argument("--driver", type=int, metavar="PID", help="parent process with which this one ends")
    arguments = parser.parse_args()
    if arguments.driver is not None:
        hold_on_to(arguments.driver)
    if not arguments.folder.is_dir():
        parser.error(f"{arguments.folder} is no folder")
    folder = arguments.folder.resolve()
    terminal = os.fdopen(os.dup(2), "w")
    _redirect_output(folder)
    try:
        failure = run(folder).failure
    except UserError as error:
        print(error, file=terminal, flush=True)
        return 2
    if failure is not None:
        print(failure, file=terminal, flush=True)
    return 0 if failure is None else 1


if __name__ == "__main__":
    sys.exit(main())
