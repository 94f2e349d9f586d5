"""The JSON schema of a reply that proposes sets of rewards, every field required, as strict structured output wants."""

from __future__ import annotations

from typing import Any

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


_TEXT, _NUMBER = {"type": "string"}, {"type": "number"}
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
        "family": {"type": "string", "enum": list(FAMILIES)},
        "description": _TEXT,
        "replaces": _list(_TEXT),
        "rewards": _list(_REWARD),
    }
)
REWARD_SETS: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {"name": "reward_sets", "strict": True, "schema": _object({"candidates": _list(_SET)})},
}
