"""What a pipeline leaves: what each stage took, and how each policy answers each suite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from eval.metrics import compute_metrics
from eval.prediction import Prediction
from eval.statistics.estimate import wilson_interval
from trainer.jobs.fine_tune import FineTuneResult
from trainer.jobs.settings import Frozen
from trainer.jobs.train import RewardStatistics, RunResult
from trainer.pipeline.description import Policy


class Share(Frozen):
    """Right answers among `n` questions, with Wilson's interval over questions at 95 %: of this one run."""

    value: float
    low: float
    high: float
    n: int


class SuiteScores(Frozen):
    """How one policy answered one suite."""

    accuracy: Share
    """Answers read from the tags alone."""
    accuracy_flexible: Share
    """The tagged answer, else the last thing that looks like one."""
    extraction_rate: Share
    mean_completion_tokens: float


class StageRecord(Frozen):
    """One training stage. `failure`: why it left no policy; None if it left one."""

    tuning: str
    failure: str | None = None
    policy: str | None = None
    """Folder of the whole policy, relative to the pipeline's folder."""
    steps: int = 0
    seconds: dict[str, float] = Field(default={})
    """Wall-clock by phase."""
    memory: dict[str, int] = Field(default={})
    """Peaks in bytes: resident, cuda."""
    losses: tuple[float, ...] = ()
    """First and last logged loss of supervised fine-tuning."""
    rewards: tuple[RewardStatistics, ...] = ()
    """Of GRPO: what every reward did over the whole stage."""
    trajectory: dict[str, tuple[float | None, ...]] = Field(default={})
    """Of GRPO, per step: accuracy of the rollouts, their mean length in tokens, and every reward's firing rate."""


class PipelineResult(Frozen):
    """`failure` is None exactly when every stage that was asked for ended well."""

    digest: str
    failure: str | None = None
    policy: str | None = None
    """Folder of the last policy that was trained, relative to the pipeline's folder: a `base_model` for a search."""
    stages: dict[Policy, StageRecord] = Field(default={})
    scores: dict[Policy, dict[str, SuiteScores]] = Field(default={})
    """Per policy, per suite."""


def stage_record(tuning: str, steps: int, result: FineTuneResult | RunResult, policy: str | None) -> StageRecord:
    record = StageRecord(
        tuning=tuning,
        failure=result.failure,
        policy=policy,
        steps=steps,
        seconds=result.seconds,
        memory=result.memory,
    )
    if isinstance(result, RunResult):
        return record.model_copy(update={"rewards": result.rewards, "trajectory": trajectory(result.curves)})
    losses = (result.losses[0][1], result.losses[-1][1]) if result.losses else ()
    return record.model_copy(update={"losses": losses})


def trajectory(curves: Sequence[dict[str, Any]]) -> dict[str, tuple[float | None, ...]]:
    """The curves by figure instead of by step: accuracy, completion_tokens, and `fires: NAME` of every reward."""
    names = [name for entry in curves[:1] for name in entry["rewards"]]
    return {
        "accuracy": tuple(entry["accuracy"] for entry in curves),
        "completion_tokens": tuple(entry["completion_tokens"] for entry in curves),
        **{f"fires: {name}": tuple(entry["rewards"][name]["firing_rate"] for entry in curves) for name in names},
    }


def suite_scores(predictions: Sequence[Prediction]) -> SuiteScores:
    """Raises ValueError for no predictions."""
    metrics = compute_metrics(predictions)
    if metrics.mean_completion_tokens is None:
        raise ValueError("there are no predictions")
    return SuiteScores(
        accuracy=_share(metrics.strict.correct, metrics.n),
        accuracy_flexible=_share(metrics.flexible.correct, metrics.n),
        extraction_rate=_share(metrics.n - metrics.strict.unanswered, metrics.n),
        mean_completion_tokens=metrics.mean_completion_tokens,
    )


def _share(count: int, n: int) -> Share:
    estimate = wilson_interval(count, n)
    return Share(value=estimate.value, low=estimate.low, high=estimate.high, n=n)
