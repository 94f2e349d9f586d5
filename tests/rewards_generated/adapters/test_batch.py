"""Batch functions in the style of TRL become rewards of one sample with the same values."""

from __future__ import annotations

import pytest

from rewards_generated.adapters.batch import code_entry_point, expects_messages, import_batch_reward
from rewards_generated.errors import UserError
from rewards_generated.identity import parse
from rewards_generated.rollout import Sample
from rewards_generated.sandbox import RewardWorker
from tests.rewards_generated.gate.ordinary_rewards import BATCH_REWARDS

SAMPLES = [
    Sample("2 + 2 ?", "<thinking> 2 + 2 = 4 . </thinking> <solution> 4 </solution>", "4"),
    Sample("2 + 3 ?", "<thinking> First, wait. 2 + 3 = 6 . </thinking><solution> 6 </solution>", "5"),
    Sample("1 ?", "1", "1"),
    Sample("", "", ""),
]


@pytest.mark.parametrize("code", BATCH_REWARDS.values(), ids=BATCH_REWARDS)
def test_imported_values_are_those_of_the_batch(code: str) -> None:
    with RewardWorker(code, entry=code_entry_point(code)) as batch, RewardWorker(import_batch_reward(code)) as single:
        expected = batch.score(SAMPLES)
        assert all(score.value is not None for score in expected)
        assert single.score(SAMPLES) == expected


def test_a_reward_of_one_sample_comes_back_as_it_is() -> None:
    code = "def reward(prompt, completion, answer):\n    return 1.0\n"
    assert import_batch_reward(code) == code


def test_chat_and_text_are_told_apart() -> None:
    assert expects_messages(parse("x = c[0]['content']"))
    assert expects_messages(parse("x = c[0].get('content', '')"))
    assert not expects_messages(parse("x = c[0]['text'] + content['a'] + len(c)"))


def test_what_is_no_reward_is_refused_in_a_sentence() -> None:
    with pytest.raises(UserError, match="no reward: define"):
        import_batch_reward("x = 1")
    with pytest.raises(UserError, match="column `difficulty`"):
        import_batch_reward("def f(completions, difficulty):\n    return [1.0 for _ in completions]\n")
    with pytest.raises(UserError, match="no reward"):
        import_batch_reward("def f(:")


def test_a_name_that_is_taken_is_not_overwritten() -> None:
    code = "batch_reward = 1\ndef reward(prompts, completions, **kwargs):\n    return [1.0 for _ in completions]\n"
    with pytest.raises(UserError, match="rename one"):
        import_batch_reward(code)


def test_a_batch_function_that_asks_for_worked_solutions_becomes_a_reward_that_does() -> None:
    code = (
        "def f(completions, worked_solution, **columns):\n    return [float(len(w or '')) for w in worked_solution]\n"
    )
    single = import_batch_reward(code)
    entry = code_entry_point(single)
    assert (entry.kind, entry.worked_solution) == ("sample", True)
    samples = [Sample("p", "c", "4", "2 + 2"), Sample("p", "c", "4")]
    with RewardWorker(code, entry=code_entry_point(code)) as batch, RewardWorker(single, entry=entry) as one:
        assert [score.value for score in batch.score(samples)] == [5.0, 0.0]
        assert one.score(samples) == batch.score(samples)
