"""Reward sets out of replies in both forms, and what of them cannot be used."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rewards_generated.base import BASE_REWARDS
from rewards_generated.reward_set import read_set
from search.proposers.replies.sets import parse_set_reply

CODE = (
    "import re\n\n\ndef reward(prompt: str, completion: str, answer: str) -> float:\n"
    '    """Pays for {}."""\n    return {}\n'
)
GUIDE, LATE = CODE.format("steps", "float(len(re.findall(r'\\d =', completion)))"), CODE.format("a check", "1.0")
HEADER = """
name = "fading_guide"
family = "process"
description = "Guides at first."
replaces = ["format_exact"]

[[rewards]]
name = "guide"
weight = 0.5
schedule = { kind = "linear", to = 0.0 }

[[rewards]]
name = "late"
schedule = { kind = "switch", to = 1.5, at = 0.25 }
"""
FENCED = f"Here it is:\n\n```toml\n{HEADER}```\n```python\n{GUIDE}```\n\n```python\n{LATE}```\n"


def as_json(**changes: Any) -> dict[str, Any]:
    guide = {"name": "guide", "weight": 0.5, "schedule": "linear", "final_weight": 0.0, "switch_at": 0.5, "code": GUIDE}
    late = {"name": "late", "weight": 1, "schedule": "switch", "final_weight": 1.5, "switch_at": 0.25, "code": LATE}
    found = {"name": "fading guide", "family": "process", "description": "Guides at first.", "rewards": [guide, late]}
    return {**found, "replaces": ["format_exact"], **changes}


def reply_of(*candidates: dict[str, Any]) -> str:
    return json.dumps({"candidates": list(candidates)})


@pytest.mark.parametrize(
    "reply",
    [
        FENCED,
        reply_of(as_json()),
        f"<think>```toml\nname = 'no'\n```</think>\n{FENCED}",
        f"Sure.\n\n```json\n{json.dumps(as_json(), indent=2)}\n```\nThat is all.",
        FENCED.replace("\n", "\r\n"),
        FENCED.replace("```toml\n\nname", "```toml\nname").replace("schedule = { kind", "schedule = { type"),
    ],
)
def test_a_set_is_read_in_both_forms(reply: str) -> None:
    [item], unusable = parse_set_reply(reply, "stop", BASE_REWARDS)
    assert unusable == []
    assert (item.name, item.family, item.description) == ("fading_guide", "process", "Guides at first.")
    found = read_set(item.code)
    assert found.replaces == ("format_exact",)
    assert [(r.name, r.weight_words, r.code) for r in found.rewards] == [
        ("guide", "0.5 to 0 over the run", GUIDE),
        ("late", "1 to 1.5 after 25% of the steps", LATE),
    ]


def test_several_sets_and_weights_that_stay() -> None:
    constant = {"name": "late", "weight": 2.0, "schedule": "constant", "final_weight": 9, "switch_at": 9, "code": LATE}
    same = {**constant, "schedule": "linear", "final_weight": 2.0}
    items, unusable = parse_set_reply(
        reply_of(as_json(), as_json(name="b", rewards=[constant], replaces=[]), as_json(name="c", rewards=[same])),
        "stop",
        BASE_REWARDS,
    )
    assert unusable == []
    assert [item.name for item in items] == ["fading_guide", "b", "c"]
    assert [read_set(item.code).rewards[0].weight_words for item in items[1:]] == ["2", "2"]
    fenced = "\n".join(FENCED.replace("fading_guide", f"set_{number}") for number in range(3))
    items, unusable = parse_set_reply(fenced, "stop", BASE_REWARDS)
    assert ([item.name for item in items], unusable) == (["set_0", "set_1", "set_2"], [])


@pytest.mark.parametrize("reply", [f"name: plain\n```python\n{LATE}```", json.dumps({"name": "plain", "code": LATE})])
def test_a_reward_alone_is_a_set_of_weight_one(reply: str) -> None:
    [item], unusable = parse_set_reply(reply, "stop", BASE_REWARDS)
    assert (item.name, unusable) == ("plain", [])
    found = read_set(item.code)
    assert [(r.weight_words, r.code, found.replaces) for r in found.rewards] == [("1", LATE, ())]


def test_what_is_wrong_with_a_set_is_told_and_costs_only_itself() -> None:
    [guide, late] = as_json()["rewards"]
    wrong: list[tuple[dict[str, Any], str]] = [
        (as_json(replaces=["length"]), "`replaces` names 'length'"),
        (as_json(replaces=["answer_check"]), "'answer_check', which this search does not use"),
        (as_json(rewards=[{**guide, "schedule": "cosine"}]), "schedule is 'cosine'; choose constant, linear or switch"),
        (as_json(rewards=[{**guide, "weight": "much"}]), "reward 'guide': the weight is 'much'; it must be a finite"),
        (as_json(rewards=[{**late, "switch_at": 20}]), "schedule.at is 20; it must be a share"),
        (as_json(rewards=[{**late, "switch_at": None}]), "the share of the steps of the switch is None"),
        (as_json(rewards=[{**guide, "code": "def reward(x):\n    return 1.0\n"}]), "reward 'guide': "),
        (as_json(rewards=[guide, {**late, "code": ""}]), "reward 'late': the field `code` is missing or empty"),
        (as_json(rewards=[guide, guide]), "names 'guide' twice"),
        (as_json(rewards=[guide, late, {**late, "name": "c"}, {**late, "name": "d"}]), "it may have one to 3"),
        (as_json(rewards=[{**guide, "weight": 0, "schedule": "constant"}]), "is 0, so it does nothing"),
    ]
    items, unusable = parse_set_reply(
        reply_of(*(item for item, _ in wrong), as_json(name="good")), "stop", BASE_REWARDS[:2]
    )
    assert [item.name for item in items] == ["good"]
    assert len(unusable) == len(wrong)
    for found, (_, sentence) in zip(unusable, wrong, strict=True):
        assert sentence in found.detail
        assert found.reason == "malformed"


def test_code_blocks_must_be_as_many_as_rewards() -> None:
    items, unusable = parse_set_reply(FENCED + f"```python\n{LATE}```", "stop", BASE_REWARDS)
    assert items == []
    assert "it has 3 code blocks for 2 `rewards`" in unusable[0].detail
    items, unusable = parse_set_reply(FENCED.replace(LATE, "print(1)\n"), "stop", BASE_REWARDS)
    assert items == []
    assert "reward 'late'" in unusable[0].detail


def test_a_reply_that_was_cut_off_says_so() -> None:
    items, unusable = parse_set_reply(FENCED, "length", BASE_REWARDS)
    assert (len(items), [item.reason for item in unusable]) == (1, ["truncated"])
    items, unusable = parse_set_reply("I cannot help with that.", "stop", BASE_REWARDS)
    assert (items, [item.reason for item in unusable]) == ([], ["refused"])
