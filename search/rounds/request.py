"""What a proposer is told that does not depend on earlier rounds."""

from __future__ import annotations

from collections.abc import Sequence

from eval.tasks.base import Task
from rewards_generated.rollout import Rollout
from search.config.models import SearchConfig
from search.proposers.base import Feedback, ProposalRequest
from trainer.algorithms import algorithm_of
from trainer.determinism import derived_seed

QUESTION_POOL = 200
"""Train questions from which a proposer may draw its examples."""


def first_request(config: SearchConfig, task: Task, number: int, rollouts: Sequence[Rollout]) -> ProposalRequest:
    """The request of a round that knows of no other; `rollouts` are of the base policy on train questions."""
    settings = config.search
    return ProposalRequest(
        round=number,
        count=settings.candidates_per_round,
        reflection_minimum=settings.reflection_minimum,
        feedback=Feedback(settings.feedback),
        task_description=f"{task.description} {algorithm_of(config.screening.algorithm).note_for_rewards}".rstrip(),
        question_answer_pairs=[(example.question, example.answer) for example in task.examples("train", QUESTION_POOL)],
        rollouts=rollouts,
        seed=derived_seed(config.seed, "proposals", number, bits=31),
        known_identities=frozenset(),
        base_rewards=settings.base_rewards,
        answer_format=task.answer_format,
        proposes=settings.proposes,
        rejects_duplicates=config.prescreen.rejects_duplicates,
    )
