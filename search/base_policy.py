"""What the untrained base policy does: its rollouts on train questions, and its score on the split that ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from eval.prediction import Prediction
from eval.tasks.base import Task
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.rollout import Rollout
from rewards_generated.sandbox.settings import SandboxSettings


def rollouts_of(task: Task, predictions: Sequence[Prediction]) -> list[Rollout]:
    """Sampled predictions on train questions as rollouts."""
    examples = {example.id: example for example in task.examples("train")}
    return [
        Rollout(
            prompt=examples[prediction.id].question,
            completion=prediction.completion,
            answer=examples[prediction.id].answer,
            correct=prediction.correct,
            answered=prediction.answered,
            group=prediction.id,
        )
        for prediction in predictions
    ]


def frozen_statistics(
    members: Sequence[Member], rollouts: Sequence[Rollout], sandbox: SandboxSettings
) -> tuple[Member, ...]:
    """The members with mean and standard deviation (n - 1) of their scores over the rollouts, for `zscore`.

    Rollouts that a member could not score are left out; with fewer than two scored ones its scale is unknown and
    it counts as constant (std 0).
    """
    from rewards_generated.scorer import EnsembleScorer

    with EnsembleScorer(Ensemble(name="statistics", members=tuple(members)), sandbox) as scorer:
        components = scorer.score([rollout.sample for rollout in rollouts]).components
    return tuple(member.model_copy(update=_statistics(components[member.name])) for member in members)


def _statistics(scores: Sequence[float | None]) -> dict[str, float]:
    values = [score for score in scores if score is not None]
    if not values:
        return {"mean": 0.0, "std": 0.0}
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return {"mean": mean, "std": math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else 0.0}
