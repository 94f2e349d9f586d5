"""The items of a JSON reply, also where the JSON is broken, wrapped in prose, or cut off."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

_DECODER = json.JSONDecoder(strict=False)
_ITEM_START = re.compile(r'\{\s*"(?:name|family|description|code)"\s*:')
_WHOLE_START = re.compile(r'\{\s*"\w+"\s*:\s*\[|\[\s*\{\s*"|' + _ITEM_START.pattern)
_FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[ \t]*(\w*)", re.MULTILINE)
_BAD_ESCAPE = re.compile(r'(\\["\\/nrtu])|\\')


@dataclass(frozen=True, slots=True)
class BrokenItem:
    """An item that could not be read. `truncated`: the text ends inside it."""

    problem: str
    text: str
    truncated: bool


def json_items(text: str) -> list[dict[str, object] | BrokenItem]:
    """The candidate objects of the reply (dicts with whatever keys the model gave); empty if it is no JSON reply."""
    start = _start(text)
    if start is None:
        return []
    for repaired in (text[start:], _escapes_repaired(text[start:])):
        try:
            value, _ = _DECODER.raw_decode(repaired)
        except (json.JSONDecodeError, RecursionError):
            continue
        if items := list(_items_in(value)):
            return items
    return list(_salvaged(text[start:]))


def _start(text: str) -> int | None:
    """Where the JSON begins. Python code may hold dicts that look alike, so the JSON must come before any code."""
    if text.startswith(("{", "[")):
        return 0
    fence = _FENCE.search(text)
    if fence and fence[1].lower().startswith("json"):
        bracket = re.compile(r"[{\[]").search(text, fence.end())
        return bracket.start() if bracket else None
    whole = _WHOLE_START.search(text)
    code = min((place for place in (text.find("def "), text.find("```")) if place >= 0), default=len(text))
    return whole.start() if whole and whole.start() < code else None


def _items_in(value: object) -> Iterator[dict[str, object] | BrokenItem]:
    """Accepts one object, a list of objects, or an object that holds such a list under any key."""
    if isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield _unmangled(item)
            elif isinstance(item, str):
                yield {"code": item}
            else:
                yield BrokenItem("an item of the list is not an object", json.dumps(item)[:400], truncated=False)
    elif isinstance(value, dict):
        lists = [nested for nested in value.values() if isinstance(nested, list)]
        if "code" in value or "name" in value:
            yield _unmangled(value)
        elif lists:
            yield from _items_in(lists[0])


def _salvaged(text: str) -> Iterator[dict[str, object] | BrokenItem]:
    """Reads the objects one by one where the whole is not valid JSON, so that one bad item costs only itself."""
    match = _ITEM_START.search(text)
    while match:
        following = _ITEM_START.search(text, match.end())
        piece = text[match.start() : following.start() if following else len(text)]
        item = _decoded(piece)
        if isinstance(item, BrokenItem) and following is None:
            yield item
            return
        yield BrokenItem(item.problem, item.text, truncated=False) if isinstance(item, BrokenItem) else item
        match = following


def _decoded(piece: str) -> dict[str, object] | BrokenItem:
    problem, truncated = "", False
    for repaired in (piece, _escapes_repaired(piece)):
        try:
            value, _ = _DECODER.raw_decode(repaired)
        except json.JSONDecodeError as error:
            problem = f"invalid JSON: {error.msg} at character {error.pos}"
            truncated = error.msg.startswith("Unterminated string") or error.pos >= len(repaired.rstrip())
        else:
            return _unmangled(value)
    if not truncated and (item := _repaired(piece)) is not None:
        return _unmangled(item)
    return BrokenItem(problem, piece, truncated)


def _repaired(piece: str) -> dict[str, object] | None:
    """What json-repair reads where commas, quotes or brackets are missing; None if no code came out whole.

    It closes what was cut off, so it must not be asked about a truncated piece.
    """
    import json_repair

    item = json_repair.loads(piece)
    if isinstance(item, dict) and "def reward" in str(item.get("code")):
        return item
    return None


def _unmangled(item: dict[str, object]) -> dict[str, object]:
    r"""Python's `\b` and `\f`, written into JSON without doubling the backslash, arrive as control characters."""
    code = item.get("code")
    if isinstance(code, str):
        return {**item, "code": code.replace("\x08", "\\b").replace("\x0c", "\\f")}
    return item


def _escapes_repaired(text: str) -> str:
    r"""Doubles the backslash of escapes that JSON does not know (`\d`, `\s`, `\.`), the usual slip with regexes."""
    return _BAD_ESCAPE.sub(lambda match: match[1] or "\\\\", text)
