"""What the untrained base policy does: its rollouts on train questions."""

from __future__ import annotations

from collections.abc import Sequence

from eval.prediction import Prediction
from eval.prescreener import base_totals
from eval.tasks.base import Task
from rewards_generated.errors import UserError
from rewards_generated.rollout import Rollout
from search.config.models import SearchConfig


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
            worked_solution=examples[prediction.id].worked_solution,
        )
        for prediction in predictions
    ]


_WHAT_HELPS = (
    "a prompt with examples or another chat template, fine-tuning first (`reward-search pipeline`), an easier split, "
    "or another `task.options.answer_format`"
)


def require_base_variety(config: SearchConfig, task: Task, rollouts: Sequence[Rollout]) -> None:
    """Raises UserError if the base rewards give every rollout of the base policy the same: they would teach nothing,
    and every run would be of the candidate alone."""
    values = set(base_totals(config.search.base_rewards, rollouts, task))
    if len(values) == 1:
        raise UserError(
            f"the base rewards give {values.pop():g} to each of {len(rollouts)} rollouts of the base policy "
            f"({_counts(rollouts)}), so that there is nothing to train on; the task wants {task.answer_format.words}: "
            f"what helps is {_WHAT_HELPS}"
        )


def base_warning(rollouts: Sequence[Rollout]) -> str | None:
    """A sentence where the base policy answers nothing right; None where it does."""
    if any(rollout.correct for rollout in rollouts):
        return None
    return (
        f"warning: of {len(rollouts)} rollouts of the base policy {_counts(rollouts)}: GRPO has no right answer to "
        f"make likelier; what helps is {_WHAT_HELPS}"
    )


def _counts(rollouts: Sequence[Rollout]) -> str:
    answered, right = sum(item.answered for item in rollouts), sum(item.correct for item in rollouts)
    return f"{answered} with a readable answer, {right} right"
