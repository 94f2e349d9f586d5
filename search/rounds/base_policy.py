"""What the untrained base policy does: its rollouts on train questions."""

from __future__ import annotations

from collections.abc import Sequence

from eval.prediction import Prediction
from eval.tasks.base import Task
from rewards_generated.rollout import Rollout


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
