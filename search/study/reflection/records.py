"""What a pipeline run measured, as plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from eval.metrics import compute_metrics
from eval.prediction import Prediction
from search.study.base import Result
from search.study.reflection.arms import COMPONENTS
from trainer.jobs.fine_tune import FineTuneResult
from trainer.jobs.train import RunResult


def fine_tuning_record(result: FineTuneResult) -> Result:
    """`loss`: means over the first and the last quarter of what was logged; a single batch says little."""
    losses = [loss for _, loss in result.losses]
    part = max(1, len(losses) // 4)
    return {
        "loss": [math.fsum(losses[:part]) / part, math.fsum(losses[-part:]) / part],
        "trained_parameters": result.trained_parameters,
        "seconds": result.seconds,
        "memory": result.memory,
    }


def grpo_record(result: RunResult) -> Result:
    """Per component its firing rate over the whole run, and curves by step; of a run without a score its failure."""
    if result.failure is not None:
        return {"failure": result.failure}
    curves = result.curves
    return {
        "failure": None,
        "seconds": result.seconds,
        "memory": result.memory,
        "firing": {COMPONENTS[reward.name]: reward.firing_rate for reward in result.rewards},
        "curves": {
            "accuracy": [entry["accuracy"] for entry in curves],
            "tokens": [entry["completion_tokens"] for entry in curves],
            **{
                f"{said}, {figure}": [entry["rewards"][name][figure] for entry in curves]
                for name, said in COMPONENTS.items()
                for figure in ("firing_rate", "mean")
            },
        },
    }


def answers_record(predictions: Mapping[str, Sequence[Prediction]]) -> Result:
    """Per suite the shares of right answers and the mean length."""
    found = {}
    for suite, given in predictions.items():
        metrics = compute_metrics(given)
        found[suite] = {
            "n": metrics.n,
            "accuracy": metrics.strict.accuracy,
            "accuracy_flexible": metrics.flexible.accuracy,
            "extraction_rate": metrics.strict.extraction_rate,
            "tokens": metrics.mean_completion_tokens,
        }
    return found


def quarter(run: Result, curve: str, number: int) -> float | None:
    """Mean of a curve over a quarter of the steps, 1 to 4; None where nothing was scored."""
    values: list[Any] = run["curves"][curve]
    bounds = [round(len(values) * part / 4) for part in (number - 1, number)]
    known = [value for value in values[slice(*bounds)] if value is not None]
    return math.fsum(known) / len(known) if known else None
