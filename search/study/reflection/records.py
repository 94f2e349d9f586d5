"""The arms of the study, how the policy is fine-tuned before GRPO and what GRPO pays for reflection; and what the
pipelines of a seed measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from eval.metrics import compute_metrics
from eval.prediction import Prediction
from search.study.base import Record
from search.study.cells import change, mean
from trainer.jobs.fine_tune import FineTuneResult
from trainer.jobs.train import RunResult

FINE_TUNINGS = ("none", "lora", "full")
"""Before GRPO."""
REWARDS = ("plain", "reflection", "gated")
"""Beside accuracy and format, all with weight 1: nothing, the reflection reward, the same beside right answers only."""

UNGATED, GATED = "four_family_reflection", "gated_four_family_reflection"
WEIGHTS: dict[str, dict[str, float]] = {
    "plain": {"accuracy": 1.0, "format": 1.0, UNGATED: 0.0, GATED: 0.0},
    "reflection": {"accuracy": 1.0, "format": 1.0, UNGATED: 1.0, GATED: 0.0},
    "gated": {"accuracy": 1.0, "format": 1.0, UNGATED: 0.0, GATED: 1.0},
}
"""All four are measured in every arm, whatever is paid for."""

COMPONENTS = {"accuracy": "accuracy", "format": "format", UNGATED: "reflection", GATED: "gated reflection"}
"""Reward -> how the report calls it."""

LORA_FACTOR = 10
"""As in the paper, the learning rate of LoRA is so many times that of full tuning."""


def arm(fine_tuning: str, reward: str) -> str:
    return f"{fine_tuning}, {reward}"


ARMS = tuple(arm(fine_tuning, reward) for fine_tuning in FINE_TUNINGS for reward in REWARDS)


class SuiteRecord(Record):
    """Shares of right answers to one suite, and their mean length."""

    n: int
    accuracy: float | None
    accuracy_flexible: float | None
    extraction_rate: float | None
    tokens: float | None


Suites = dict[str, SuiteRecord]


class Policy(Record):
    """That GRPO starts from; alone, the base policy."""

    suites: Suites


class FineTuned(Policy):
    loss: tuple[float, float]
    """Means over the first and the last quarter of what was logged; a single batch says little."""
    trained_parameters: int
    seconds: dict[str, float]
    memory: dict[str, int]
    """Peaks in bytes."""


class ScoredRun(Record):
    failure: None
    seconds: dict[str, float]
    memory: dict[str, int]
    """Peaks in bytes."""
    firing: dict[str, float | None]
    """Per component its firing rate over the whole run."""
    curves: dict[str, tuple[float | None, ...]]
    """By step."""
    suites: Suites | None = None
    """None where the policy was not asked."""

    def quarter(self, curve: str, number: int) -> float | None:
        return quarter(self.curves[curve], number)

    def rise(self, curve: str) -> float | None:
        """From the third to the last quarter."""
        return change(self.quarter(curve, 3), self.quarter(curve, 4))


class FailedRun(Record):
    failure: str
    suites: None = None


class SeedRecord(Record):
    seed: int
    fine_tunings: dict[str, FineTuned | Policy]
    arms: dict[str, ScoredRun | FailedRun]
    grpo_in_full: ScoredRun | FailedRun

    def scored(self, arm: str) -> ScoredRun | None:
        run = self.arms[arm]
        return run if isinstance(run, ScoredRun) else None


def fine_tuning_record(result: FineTuneResult, suites: Suites) -> FineTuned:
    losses = [loss for _, loss in result.losses]
    part = max(1, len(losses) // 4)
    return FineTuned(
        suites=suites,
        loss=(math.fsum(losses[:part]) / part, math.fsum(losses[-part:]) / part),
        trained_parameters=result.trained_parameters,
        seconds=result.seconds,
        memory=result.memory,
    )


def grpo_record(result: RunResult, suites: Suites | None = None) -> ScoredRun | FailedRun:
    if result.failure is not None:
        return FailedRun(failure=result.failure)
    curves = {
        "accuracy": tuple(entry["accuracy"] for entry in result.curves),
        "tokens": tuple(entry["completion_tokens"] for entry in result.curves),
    }
    for name, said in COMPONENTS.items():
        for figure in ("firing_rate", "mean"):
            curves[f"{said}, {figure}"] = tuple(entry["rewards"][name][figure] for entry in result.curves)
    return ScoredRun(
        failure=None,
        seconds=result.seconds,
        memory=result.memory,
        firing={COMPONENTS[reward.name]: reward.firing_rate for reward in result.rewards},
        curves=curves,
        suites=suites,
    )


def answers_record(predictions: Mapping[str, Sequence[Prediction]]) -> Suites:
    found = {}
    for suite, given in predictions.items():
        metrics = compute_metrics(given)
        found[suite] = SuiteRecord(
            n=metrics.n,
            accuracy=metrics.strict.accuracy,
            accuracy_flexible=metrics.flexible.accuracy,
            extraction_rate=metrics.strict.extraction_rate,
            tokens=metrics.mean_completion_tokens,
        )
    return found


def quarter(curve: Sequence[float | None], number: int) -> float | None:
    """Mean of a curve over a quarter of the steps, 1 to 4; None where nothing was scored."""
    low, high = (round(len(curve) * part / 4) for part in (number - 1, number))
    return mean(curve[low:high])
