"""Reward sets out of a reply: JSON objects with `rewards`, or blocks of TOML with a code block per reward.

What is no set but a readable reward counts as a set of that reward alone, with weight 1.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from rewards_generated.ensemble import Member
from rewards_generated.errors import UserError
from rewards_generated.reward_set import RewardSet
from rewards_generated.schedule import Schedule
from search.proposers.base import UnusableItem
from search.proposers.replies.json_items import decoded
from search.proposers.replies.reply import ReplyItem, excerpt, parse_reply, read_candidate, readable_name
from search.proposers.replies.segments import PYTHON, Segment, segments

Fields = dict[str, Any]
Read = list[ReplyItem | UnusableItem]


class Unreadable(Exception):
    """The message says why something is no set, for whoever wrote it."""


def parse_set_reply(reply: str, finish_reason: str, base: Sequence[str]) -> tuple[list[ReplyItem], list[UnusableItem]]:
    """The sets of a reply in their order, `code` of each its text, and everything else that was meant to be one.

    `finish_reason`: as for `parse_reply`. `base`: the base rewards that can be replaced.
    """
    parts, thoughts = segments(reply.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff"))
    found = [read for fields, codes in _described(parts) for read in _read(fields, codes, base)]
    if not found:
        items, unusable = parse_reply(reply, finish_reason)
        return [_alone(item) for item in items], unusable
    if thoughts:
        found.append(UnusableItem("truncated", "the reply ends inside the model's thoughts", excerpt(thoughts)))
    elif finish_reason == "length":
        found.append(UnusableItem("truncated", "the reply ended at the limit of tokens", excerpt(reply[-400:])))
    elif finish_reason in ("content_filter", "refusal"):
        found.append(UnusableItem("refused", "the provider stopped the reply", excerpt(reply[-400:])))
    return [item for item in found if isinstance(item, ReplyItem)], [
        item for item in found if isinstance(item, UnusableItem)
    ]


def _alone(item: ReplyItem) -> ReplyItem:
    """A set that has no reward but this one."""
    alone = RewardSet(rewards=(Member(name="part_1", code=item.code),))
    return replace(item, code=alone.text())


def _described(parts: Sequence[Segment]) -> Iterator[tuple[Fields, list[str]]]:
    """The fields of every set, and the code blocks that follow it."""
    waiting: tuple[Fields, list[str]] | None = None
    for part in parts:
        if part.kind == "block" and waiting and PYTHON.fullmatch(part.language):
            waiting[1].append(part.text)
            continue
        fields = [] if part.kind == "text" else _sets_of(part.text)
        if fields and waiting:
            yield waiting
        for one in fields[:-1]:
            yield one, []
        waiting = (fields[-1], []) if fields else waiting
    if waiting:
        yield waiting


def _sets_of(text: str) -> list[Fields]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        found: list[Fields] = []
        start = len(text) - len(text.lstrip())
        while start < len(text) and (value := decoded(text, start)) is not None:
            found += _sets_in(value[0])
            start = value[1] + len(text[value[1] :]) - len(text[value[1] :].lstrip(" \t\n,;"))
        return found
    return _sets_in(document)


def _sets_in(value: object) -> list[Fields]:
    """Objects with a list `rewards`, wherever they are held."""
    if isinstance(value, list):
        return [found for item in value for found in _sets_in(item)]
    if not isinstance(value, dict):
        return []
    rewards = value.get("rewards")
    if isinstance(rewards, list) and rewards and all(isinstance(item, dict) for item in rewards):
        return [value]
    return [found for item in value.values() for found in _sets_in(item)]


def _read(fields: Fields, codes: Sequence[str], base: Sequence[str]) -> Read:
    name = readable_name(_text(fields, "name")) or "candidate"
    try:
        following = iter(codes)
        members, about = [], ""
        for number, reward in enumerate(fields["rewards"], start=1):
            code = reward.get("code") or next(following, None)
            [item, *_] = read_candidate(code, reward)
            label = readable_name(_text(reward, "name")) or f"part_{number}"
            if isinstance(item, UnusableItem):
                raise Unreadable(f"reward {label!r}: {item.detail}")
            about = about or item.description
            members.append(_member(label, item.code, reward))
        if next(following, None) is not None:
            raise Unreadable(f"it has {len(codes)} code blocks for {len(members)} `rewards`; give one each")
        reward_set = RewardSet(replaces=_names(fields.get("replaces")), rewards=tuple(members))
        reward_set.require_replaceable(base)
    except (Unreadable, UserError) as error:
        return [UnusableItem("malformed", f"set {name!r}: {error}", excerpt(str(fields)))]
    family = readable_name(_text(fields, "family"))
    description = " ".join((_text(fields, "description") or about).split())[:500]
    return [ReplyItem(name, "reflection" if "reflect" in family else family, description, reward_set.text())]


def _member(name: str, code: str, reward: Fields) -> Member:
    weight = _number(reward.get("weight", 1.0), "weight", name)
    schedule = reward.get("schedule") or "constant"
    given = schedule if isinstance(schedule, dict) else {"kind": schedule}
    kind = given.get("kind", given.get("type"))
    if kind == "constant":
        return Member(name=name, code=code, weight=weight)
    if kind not in ("linear", "switch"):
        raise Unreadable(f"reward {name!r}: schedule is {kind!r}; choose constant, linear or switch")
    to = _number(given.get("to", reward.get("final_weight")), "final weight of the schedule", name)
    at = None
    if kind == "switch":
        at = _number(given.get("at", reward.get("switch_at")), "share of the steps of the switch", name)
    changes = None if to == weight else Schedule(kind=kind, to=to, at=at)
    return Member(name=name, code=code, weight=weight, schedule=changes)


def _number(value: object, what: str, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unreadable(f"reward {name!r}: the {what} is {value!r}; it must be a finite number")
    return float(value)


def _names(value: object) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value] if value else []
    return tuple(dict.fromkeys(str(name) for name in names))


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
