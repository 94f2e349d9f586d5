"""A language model that proposes sets: the schema that is demanded, and what becomes of its replies."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from rewards_generated.reward_set import read_set
from search.proposers.base import ProposalRequest
from tests.search.proposers.examples import code, request
from tests.search.proposers.language_model.test_proposer import names, propose
from tests.search.proposers.openai_server import Answer


def asked() -> ProposalRequest:
    return replace(request(count=2), reflection_minimum=0, proposes="reward_set", base_rewards=("format_exact",))


def a_set(number: int, **changes: Any) -> dict[str, Any]:
    reward = {
        "name": "a",
        "weight": 1.0,
        "schedule": "linear",
        "final_weight": 0.0,
        "switch_at": 0,
        "code": code(number),
    }
    found = {"name": f"set_{number}", "family": "process", "description": "d", "replaces": [], "rewards": [reward]}
    return {**found, **changes}


def reply(*sets: dict[str, Any]) -> Answer:
    return Answer(json.dumps({"candidates": list(sets)}))


def test_the_schema_is_that_of_sets_and_the_prompt_says_what_they_are() -> None:
    batch, _, server = propose([reply(a_set(1), a_set(2))], asked(), models="openai/gpt-4o")
    assert names(batch) == ["set_1", "set_2"]
    assert read_set(batch.proposals[0].code).rewards[0].weight_words == "1 to 0 over the run"
    schema = server.requests[0]["response_format"]["json_schema"]["schema"]
    fields = schema["properties"]["candidates"]["items"]["properties"]
    assert set(a_set(1)) == set(fields)
    assert set(a_set(1)["rewards"][0]) == set(fields["rewards"]["items"]["properties"])
    assert '"final_weight": 0.0' in server.prompts[0]
    assert "(format_exact)" in server.prompts[0]


def test_what_is_missing_is_asked_for_again_and_equal_sets_are_one() -> None:
    wrong = a_set(2, replaces=["answer_check"])
    batch, _, server = propose([reply(a_set(1), a_set(1, name="same"), wrong), reply(a_set(3))], asked())
    assert names(batch) == ["set_1", "set_3"]
    assert [item.reason for item in batch.unusable] == ["malformed", "duplicate"]
    assert "```toml" in server.prompts[0]
    assert "`replaces` names 'answer_check', which this search does not use" in server.prompts[1]
