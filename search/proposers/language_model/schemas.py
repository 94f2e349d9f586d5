"""The JSON schemas of replies, every field required, as strict structured output wants."""

from __future__ import annotations

from typing import Any

from rewards_generated.reward_set import Proposes
from search.proposers.question.prompt import FAMILIES


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _format(name: str, candidate: dict[str, Any]) -> dict[str, Any]:
    schema = _object({"candidates": _list(candidate)})
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


_TEXT, _NUMBER = {"type": "string"}, {"type": "number"}
_FAMILY = {"type": "string", "enum": list(FAMILIES)}
_CANDIDATE = _object({"name": _TEXT, "family": _FAMILY, "description": _TEXT, "code": _TEXT})
_REWARD = _object(
    {
        "name": _TEXT,
        "weight": _NUMBER,
        "schedule": {"type": "string", "enum": ["constant", "linear", "switch"]},
        "final_weight": _NUMBER,
        "switch_at": _NUMBER,
        "code": _TEXT,
    }
)
_SET = _object(
    {
        "name": _TEXT,
        "family": _FAMILY,
        "description": _TEXT,
        "replaces": _list(_TEXT),
        "rewards": _list(_REWARD),
    }
)
RESPONSE_FORMATS: dict[Proposes, dict[str, Any]] = {
    "reward": _format("reward_candidates", _CANDIDATE),
    "reward_set": _format("reward_sets", _SET),
}
"""What is demanded of a model with structured output, by what a proposal is."""
