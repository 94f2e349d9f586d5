"""Runs a pipeline in a folder, stage by stage; what is done is never done again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from rewards_generated.errors import UserError
from trainer.jobs.base import Done, Job
from trainer.jobs.evaluate import EvaluateResult
from trainer.jobs.fine_tune import POLICY, FineTuneResult
from trainer.jobs.folder import ADAPTER, RESULT_FILE, write_model
from trainer.jobs.process import RunJobs, run_here
from trainer.jobs.train import RunResult, TrainResult, member_folder
from trainer.pipeline.description import Pipeline, Policy
from trainer.pipeline.jobs import grpo_job, sft_job, suites_job
from trainer.pipeline.result import PipelineResult, StageRecord, stage_record, suite_scores
from trainer.policy import merge_adapter

DESCRIPTION = "pipeline.json"
EVALUATION = "evaluation"
JOBS = "jobs"


def run_pipeline(
    pipeline: Pipeline,
    folder: Path,
    run_jobs: RunJobs = run_here,
    *,
    resume: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> PipelineResult:
    """Leaves `sft/`, `grpo/` and `evaluation/POLICY/` in the folder, each with its result, and `result.json` last. They
    are links to the folders of their jobs, in `jobs/`.

    `sft/policy` and `grpo/policy` are whole models, adapters merged, and `policy` is a link to the last of them.
    `resume`: goes on where the folder's pipeline was interrupted, between or within stages, to the same policies. A
    stage that fails ends the training; the policies before it are evaluated. `note` is told of every stage.
    Raises UserError for a description that cannot be run, and for a folder that holds anything else.
    """
    open_pipeline(pipeline, folder, resume=resume)
    stages: dict[Policy, StageRecord] = {}
    bases: dict[Policy, tuple[str, str | None]] = {"base": (pipeline.base_model, None)}
    failure = None
    for stage in [stage for stage in pipeline.policies if stage != "base"]:
        base = list(bases.values())[-1]
        note(f"{stage} ({pipeline.sft.tuning if stage == 'sft' else pipeline.grpo.tuning}) from {base[0]}")
        record, digest = (_sft if stage == "sft" else _grpo)(pipeline, folder, base, run_jobs)
        stages[stage] = record
        if record.policy is None:
            failure = f"{stage}: {record.failure}"
            break
        bases[stage] = (str((folder / record.policy).resolve()), digest)
    scores = {}
    for policy in pipeline.evaluation.policies if pipeline.evaluation else ():
        if policy in bases:
            note(f"evaluation of {policy}")
            job = suites_job(pipeline, policy, *bases[policy])
            (folder / EVALUATION).mkdir(exist_ok=True)
            answered = _run(job, folder, f"{EVALUATION}/{policy}", run_jobs).result
            assert isinstance(answered, EvaluateResult)
            if answered.failure is not None:
                failure = failure or f"evaluation of {policy}: {answered.failure}"
            else:
                scores[policy] = {name: suite_scores(given) for name, given in answered.predictions[0].items()}
    last = next((stages[stage].policy for stage in ("grpo", "sft") if stage in stages and stages[stage].policy), None)
    if last is not None:
        _link(folder / POLICY, last)
    result = PipelineResult(digest=pipeline.digest, failure=failure, policy=last, stages=stages, scores=scores)
    write_model(folder / RESULT_FILE, result)
    return result


def check(pipeline: Pipeline) -> None:
    """Raises UserError for what can be seen to be wrong before anything runs."""
    from eval.tasks.registry import build_task
    from trainer.grpo.arguments import check as check_grpo
    from trainer.grpo.arguments import require_packages, require_weights
    from trainer.sft.pairs import require_solutions

    build_task(pipeline.task)
    if pipeline.policies == ("base",) and pipeline.evaluation is None:
        raise UserError("every stage is skipped: set sft.tuning or grpo.tuning to lora or full, or give an evaluation")
    if pipeline.sft.tuning != "none":
        if pipeline.sft.source.file is None:
            require_solutions(pipeline.task)
        sft_job(pipeline)
    require_packages(pipeline.grpo.settings, pipeline.hardware)
    require_weights(pipeline.hardware, pipeline.sft.tuning)
    if pipeline.grpo.tuning != "none":
        check_grpo(grpo_job(pipeline, pipeline.base_model, None).shared)
    for name, suite in pipeline.evaluation.suites.items() if pipeline.evaluation else ():
        if not build_task(suite.task).examples(suite.split, 1):
            raise UserError(f"`evaluation.suites.{name}`: the {suite.split} split of {suite.task.name!r} is empty")


def recorded_pipeline(folder: Path) -> Pipeline:
    """The description that the folder's pipeline was started with. Raises UserError if there is none."""
    try:
        return Pipeline.model_validate_json((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except OSError:
        raise UserError(f"{folder} holds no pipeline: there is no {DESCRIPTION} in it") from None
    except ValidationError:
        raise UserError(f"{folder / DESCRIPTION} is not the description of a pipeline") from None


def open_pipeline(pipeline: Pipeline, folder: Path, *, resume: bool) -> None:
    """Checks the pipeline and writes its description to the folder, or finds it there on `resume`. Raises UserError."""
    check(pipeline)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not resume:
            raise UserError(f"the folder {folder} exists already; continue it with --resume, or choose another")
        if recorded_pipeline(folder) != pipeline:
            raise UserError(f"{folder} was started with another description; resume it with that, or choose another")
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_model(folder / DESCRIPTION, pipeline)


def _sft(
    pipeline: Pipeline, folder: Path, base: tuple[str, str | None], run_jobs: RunJobs
) -> tuple[StageRecord, str | None]:
    job = sft_job(pipeline)
    result = _run(job, folder, "sft", run_jobs).result
    assert isinstance(result, FineTuneResult)
    policy = None if result.policy is None else f"sft/{result.policy}"
    return stage_record(job.settings.tuning, job.settings.steps, result, policy), job.digest


def _grpo(
    pipeline: Pipeline, folder: Path, base: tuple[str, str | None], run_jobs: RunJobs
) -> tuple[StageRecord, str | None]:
    job = grpo_job(pipeline, *base)
    run = job.shared
    done = _run(job, folder, "grpo", run_jobs)
    assert isinstance(done.result, TrainResult)
    [result] = done.result.members or [
        RunResult(digest=run.digest, failure=done.result.failure, owner=done.result.owner)
    ]
    policy = None
    if result.adapter is not None:
        trained, merged = done.folder / ADAPTER, done.folder / POLICY
        _link(trained, os.path.relpath(member_folder(done.folder, run) / result.adapter, done.folder))
        if run.tuning == "full":
            _link(merged, ADAPTER)
        elif not merged.is_dir():
            merge_adapter(base[0], trained, merged, pipeline.hardware.dtype, run.prompt_format)
        policy = f"grpo/{POLICY}"
    return stage_record(run.tuning, run.grpo.steps, result, policy), job.digest


def _run(job: Job, folder: Path, name: str, run_jobs: RunJobs) -> Done:
    """The job, ended; a link of that name leads to its folder."""
    place = folder / JOBS / job.digest
    _link(folder / name, os.path.relpath(place, (folder / name).parent))
    [done] = run_jobs([job], place.parent)
    return done


def _link(path: Path, target: str) -> None:
    """A relative link at `path`, in place of what lies there, by one rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    temporary.replace(path)
