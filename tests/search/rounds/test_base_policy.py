"""What is said, and refused, of what the base policy does before anything is trained."""

from __future__ import annotations

import pytest

from eval.tasks.base import TaskReference
from eval.tasks.registry import build_task
from rewards_generated.errors import UserError
from rewards_generated.rollout import Rollout
from search.config.source import parse_config
from search.rounds.base_policy import base_warning, require_base_variety
from tests.search.searches import small_config

CONFIG = parse_config(small_config())
TASK = build_task(TaskReference(name="testbed"))


def rollout(completion: str, *, correct: bool = False, answered: bool = False) -> Rollout:
    return Rollout("2 + 3 ?", completion, "5", correct, answered, "q")


def test_base_rewards_that_say_nothing_are_refused_with_what_helps() -> None:
    with pytest.raises(UserError) as refusal:
        require_base_variety(CONFIG, TASK, [rollout("five"), rollout("six")])
    said = str(refusal.value)
    assert (
        "the base rewards give -2 to each of 2 rollouts of the base policy (0 with a readable answer, 0 right)" in said
    )
    assert "<thinking>...</thinking> and then <solution>answer</solution>" in said
    assert "`reward-search pipeline`" in said
    require_base_variety(CONFIG, TASK, [rollout("five"), rollout("<solution>5</solution>")])


def test_a_policy_that_is_never_right_is_warned_of() -> None:
    wrong = [rollout("<solution>6</solution>", answered=True), rollout("six")]
    warning = base_warning(wrong)
    assert warning is not None
    assert "of 2 rollouts of the base policy 1 with a readable answer, 0 right" in warning
    assert base_warning([*wrong, rollout("<solution>5</solution>", correct=True, answered=True)]) is None
