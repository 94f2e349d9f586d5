"""Jobs and what runs them: GRPO, supervised fine-tuning, pipelines. Everything is imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rewards_generated.lazy import lazy_exports

if TYPE_CHECKING:
    from trainer.algorithms import Algorithm
    from trainer.jobs.base import Done, Job, Result
    from trainer.jobs.evaluate import EvaluateJob, EvaluateResult, Suite
    from trainer.jobs.process import run_here
    from trainer.jobs.train import RunResult, TrainingRun, TrainJob, TrainResult

__all__ = [
    "Algorithm",
    "Done",
    "EvaluateJob",
    "EvaluateResult",
    "Job",
    "Result",
    "RunResult",
    "Suite",
    "TrainJob",
    "TrainResult",
    "TrainingRun",
    "run_here",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Algorithm": "trainer.algorithms",
        **dict.fromkeys(("Done", "Job", "Result"), "trainer.jobs.base"),
        **dict.fromkeys(("EvaluateJob", "EvaluateResult", "Suite"), "trainer.jobs.evaluate"),
        **dict.fromkeys(("RunResult", "TrainJob", "TrainResult", "TrainingRun"), "trainer.jobs.train"),
        "run_here": "trainer.jobs.process",
    },
)
