"""What a worker does with a reward that sees whole groups."""

from __future__ import annotations

import sys

import pytest

from rewards_generated.adapters.batch import code_entry_point
from rewards_generated.rollout import Sample
from rewards_generated.sandbox import EntryPoint, RewardWorker, SandboxSettings
from tests.rewards_generated.group_rewards import STEPS
from tests.rewards_generated.sandbox.test_worker import MODES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the seal exists on Linux only")

RANKS = """
def reward(prompt, group, answer):
    if "raise" in group:
        raise ValueError("no " + answer)
    if "short" in group:
        return [1.0]
    if "hang" in group:
        while True:
            pass
    if "odd" in group:
        return [None if text == "odd" else 5.0 for text in group]
    return [sum(len(other) < len(text) for other in group) + 10 * len(prompt) for text in group]
"""
COUNTS_GROUPS = """
seen = []
def reward(prompt, group, answer):
    seen.append(1)
    return [float(len(seen)) for _ in group]
"""


def worker(code: str, mode: str = "default", **limits: float) -> RewardWorker:
    settings = SandboxSettings.model_validate({"mode": mode, **limits})
    return RewardWorker(code, settings, entry=EntryPoint(kind="group"))


def samples(prompt: str, *completions: str) -> list[Sample]:
    return [Sample(prompt, completion, "42") for completion in completions]


@pytest.mark.parametrize("mode", MODES)
def test_each_group_is_one_call_and_values_come_in_the_order_of_the_samples(mode: str) -> None:
    first, second = samples("p", "a", "abc", "ab"), samples("pq", "xx", "x")
    mixed = [first[0], second[0], first[1], second[1], first[2]]
    with worker(RANKS, mode, replay_share=1.0) as reward:
        scores = reward.score(mixed, ["one", "two", "one", "two", "one"])
        assert [score.value for score in scores] == [10.0, 21.0, 12.0, 20.0, 11.0]
        assert reward.counts.replay_differences == 0


def test_two_groups_of_one_question_stay_apart() -> None:
    with worker(RANKS) as reward:
        scores = reward.score(samples("", "a", "abc", "ab", "abcd"), [1, 1, 2, 2])
    assert [score.value for score in scores] == [0.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("bad", "reason"), [("raise", "raised ValueError: no 42"), ("short", "returned 1 values for 2 samples")]
)
def test_what_breaks_on_one_group_unscores_that_group_alone(bad: str, reason: str) -> None:
    with worker(RANKS) as reward:
        scores = reward.score(samples("", "a", "ab", bad, "b", "abc", "a"), [0, 0, 1, 1, 2, 2])
    assert [score.value for score in scores] == [0.0, 1.0, None, None, 1.0, 0.0]
    assert [scores[2].error, scores[3].error] == [reason, reason]


def test_a_value_that_is_none_unscores_its_completion_alone() -> None:
    with worker(RANKS) as reward:
        scores = reward.score(samples("", "odd", "a"), [0, 0])
    assert [score.value for score in scores] == [None, 5.0]
    assert scores[0].error == "returned NoneType, not a float"


def test_a_group_that_hangs_is_found_among_the_others_and_not_divided() -> None:
    texts = ["a", "ab"] * 5 + ["hang", "abc"] + ["a", "ab"] * 5
    with worker(RANKS, batch_seconds=2.0) as reward:
        scores = reward.score(samples("", *texts), [place // 2 for place in range(len(texts))])
    assert [place for place, score in enumerate(scores) if score.value is None] == [10, 11]
    assert {score.value for score in scores[:10]} == {0.0, 1.0}
    assert "killed" in (scores[11].error or "")


def test_a_replay_sees_what_is_carried_from_group_to_group() -> None:
    with worker(COUNTS_GROUPS, "fast", replay_share=1.0) as reward:
        values = [score.value for score in reward.score(samples("", *"abcdefgh"), [place // 2 for place in range(8)])]
        assert reward.counts.replay_differences == 1
    assert None in values


def test_groups_that_are_missing_or_mixed_are_an_error_of_the_caller() -> None:
    with worker(RANKS) as reward:
        with pytest.raises(ValueError, match="give the group of every completion"):
            reward.score(samples("", "a", "b"))
        with pytest.raises(ValueError, match="different questions"):
            reward.score([*samples("p", "a"), *samples("q", "b")], [0, 0])
        with pytest.raises(ValueError, match="different questions"):
            reward.score([Sample("p", "a", "42", worked) for worked in ("6 * 7 = 42", None)], [0, 0])


@pytest.mark.parametrize("mode", MODES)
def test_the_worked_solution_of_its_question_reaches_a_group_that_asks_for_it(mode: str) -> None:
    texts = "so <solution> 42 </solution>", "6 * 7 = 42 <solution> 42 </solution>"
    batch = [Sample("p", text, "42", worked) for text in texts for worked in ("6 * 7 = 42", None)]
    settings = SandboxSettings.model_validate({"mode": mode, "replay_share": 1.0})
    with RewardWorker(STEPS, settings, entry=code_entry_point(STEPS)) as reward:
        assert [score.value for score in reward.score(batch, [0, 1, 0, 1])] == [0.5, 1.0, 1.0, 1.0]
        assert reward.counts.replay_differences == 0
