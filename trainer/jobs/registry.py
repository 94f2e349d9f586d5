"""Every kind of job: its description, its result, and what runs it. A new kind is a line here and a file of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rewards_generated.errors import UserError, nearest
from rewards_generated.validation import mistake
from trainer.jobs.base import Job, Result
from trainer.jobs.evaluate import EvaluateJob, EvaluateResult
from trainer.jobs.fine_tune import FineTuneJob, FineTuneResult
from trainer.jobs.folder import JOB_FILE
from trainer.jobs.train import TrainJob, TrainResult


@dataclass(frozen=True, slots=True)
class Kind:
    job: type[Job]
    result: type[Result]
    runner: str
    """`module:function` that takes the job, its folder and the time at which the process began, by
    `time.perf_counter`, and returns the result."""

    def run(self, job: Job, folder: Path, started: float) -> Result:
        module, _, function = self.runner.partition(":")
        runner: Callable[[Any, Path, float], Result] = getattr(import_module(module), function)
        return runner(job, folder, started)


KINDS = {
    "train": Kind(TrainJob, TrainResult, "trainer.grpo.run:run_train"),
    "evaluate": Kind(EvaluateJob, EvaluateResult, "trainer.evaluation:run_evaluate"),
    "fine_tune": Kind(FineTuneJob, FineTuneResult, "trainer.sft.run:run_fine_tune"),
}


def read_job(folder: Path) -> Job:
    """The job that the folder describes. Raises UserError if there is none or it is malformed."""
    path = folder / JOB_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    try:
        described = json.loads(text)
        kind = KINDS.get(described["kind"])
    except (ValueError, TypeError, KeyError):
        raise UserError(f"{path} is no job: it holds no JSON with a `kind`") from None
    if kind is None:
        raise UserError(f"{path} is no job: `kind` = {described['kind']!r}: {nearest(str(described['kind']), KINDS)}")
    try:
        return kind.job.model_validate_json(text)
    except ValidationError as error:
        raise UserError(f"{path} is no job: {mistake(error, kind.job, owner='the job')}") from None
