"""The items of JSON values, also where they are broken, nested in tool calls, or cut off."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass

JSON = r"\{\s*[\"']\w[\w -]*[\"']\s*:|\[\s*[\[{\"']"
"""How a JSON value begins that may hold candidates."""
FIELDS = ("name", "family", "description")
Item = dict[str, object]

_ITEM_START = re.compile(r'\{\s*"(?:name|family|description|code)"\s*:')
_CODE_FIELD = re.compile(r"""\bcode["']?\s*:\s*(?=")""")
_AFTER_FIELD = re.compile(r"\s*(?:[,}\]]|\Z)")
_TEXT_FIELD = re.compile(r'"(name|family|description)"\s*:\s*"([^"\\\n]{0,500})"')
_BAD_ESCAPE = re.compile(r'(\\["\\/nrtu])|\\')
_CODE_KEYS = (
    "code",
    "source",
    "source_code",
    "python",
    "python_code",
    "reward_code",
    "reward_function",
    "function_code",
    "implementation",
    "program",
    "body",
    "script",
    "function",
    "content",
    "reward",
    "text",
)
_THOUGHTS = re.compile(
    r"(?:my_|chain_of_|inner_)?(?:think(?:ing)?|thoughts?|thought_process|reason(?:s|ing)?|rationale|analysis|plan"
    r"|scratch_?pad|explanations?|notes?|examples?|examples?_(?:usage|code)|usage|drafts?|rejected|discarded)",
    re.IGNORECASE,
)
_HOLDER = re.compile(
    r"candidate|reward|function|variant|proposal|item|result|solution|choice|message|content|response|output|^others?$",
    re.IGNORECASE,
)
_CALL_KEYS = ("arguments", "parameters", "input", "args", "kwargs", "function", "tool_calls")
_LOOKS_LIKE_CODE = re.compile(r"\A\s*(?:`{3}|~{3}|import |from |def |async def |class |@|#|[rR]?\"\"\"|[rR]?''')")


@dataclass(frozen=True, slots=True)
class BrokenItem:
    """An item that could not be read. `truncated`: the text ends inside it."""

    problem: str
    text: str
    truncated: bool


Found = list[Item | BrokenItem]


def decoded(text: str, start: int) -> tuple[object, int] | None:
    """The JSON value that begins there, and where it ends; None if it is not valid even with its escapes repaired."""
    for repaired in (False, True) if "\\" in text else (False,):
        source = _escapes_repaired(text[start:]) if repaired else text
        try:
            value, end = _DECODER.raw_decode(source, 0 if repaired else start)
        except (ValueError, RecursionError):
            continue
        if repaired:
            end = start + end - _insertions(text[start:], end)
        return value, end
    return None


def literal_items(text: str) -> Found:
    """The items of Python literals, and of the arguments of calls: `propose(candidates=[{...}])`."""
    try:
        body = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found: Found = []
    for statement in body:
        value = getattr(statement, "value", None)
        calls = [node for node in ast.walk(value) if isinstance(node, ast.Call)] if value else []
        for call in calls:
            arguments = {item.arg: _literal(item.value) for item in call.keywords if item.arg}
            found += items_in(arguments) or items_in([_literal(item) for item in call.args])
        if value is not None and not calls:
            found += items_in(_literal(value))
    return found


def items_in(value: object, key: str = "", expected: bool = True) -> Found:
    """The candidates of a decoded value, wherever it holds them: objects with code, or texts that are code.

    `key`: the one that the value stands under. `expected`: what is no candidate here was meant to be one.
    """
    if isinstance(value, dict):
        return _of_object(value, key, expected)
    if isinstance(value, list):
        return _of_list(value, key, expected)
    if isinstance(value, str):
        if (_LOOKS_LIKE_CODE.match(value) or "\n```" in value) and "def " in value:
            return [{"code": value}]
        if value.lstrip().startswith(("{", "[")):
            start = len(value) - len(value.lstrip())
            inner = decoded(value, start)
            return items_in(inner[0], key, expected) if inner else salvaged(value)
    return []


def salvaged(text: str) -> Found:
    """Reads the objects one by one where the whole is not valid JSON, so that one bad item costs only itself."""
    found: Found = []
    match = _ITEM_START.search(text)
    while match:
        following = _ITEM_START.search(text, match.end())
        item = _salvaged_item(text[match.start() : following.start() if following else len(text)])
        if isinstance(item, BrokenItem) and following is not None:
            item = BrokenItem(item.problem, item.text, truncated=False)
        found.append(item)
        match = following
    return found


def coded_items(text: str) -> Found:
    """The items of text that is hardly JSON any more, as far as the texts of their `code` are whole."""
    found: Found = []
    before = 0
    for match in _CODE_FIELD.finditer(text):
        value = decoded(text, match.end()) if match.end() >= before else None
        if value is None or not isinstance(value[0], str) or not _AFTER_FIELD.match(text, value[1]):
            continue
        fields = {field[1]: field[2] for field in _TEXT_FIELD.finditer(text, before, match.start())}
        found += items_in({**fields, "code": value[0]}, expected=False)
        before = value[1]
    return found


def _of_object(value: Item, key: str, expected: bool) -> Found:
    if (code := _code(value, expected)) is not None:
        fields = {name: inner for name, inner in value.items() if name in FIELDS}
        return [{**_named(key), **fields, "code": code}]
    nested: Found = []
    lists = [inner for inner in value.values() if isinstance(inner, list)]
    for name, inner in value.items():
        if name in FIELDS or _THOUGHTS.fullmatch(name):
            continue
        meant = bool(_HOLDER.search(name)) or name in _CALL_KEYS or (expected and len(lists) == 1 and inner is lists[0])
        named = {} if name in _CALL_KEYS else _named(name)
        nested += [
            item if isinstance(item, BrokenItem) or "name" in item else {**named, **item}
            for item in items_in(inner, name, meant)
        ]
    if len(nested) == 1 and isinstance(nested[0], dict) and not any(name in value for name in _CALL_KEYS):
        nested[0] = {**nested[0], **{name: value[name] for name in FIELDS if name in value}}
    if nested or not expected or not any(name in value for name in (*FIELDS, "code")):
        return nested
    return [{name: value[name] for name in (*FIELDS, "code") if name in value}]


def _of_list(value: list[object], key: str, expected: bool) -> Found:
    found: Found = []
    others: list[BrokenItem] = []
    for item in value:
        if items := items_in(item, key, expected):
            found += items
        elif expected:
            problem = "an item of the list is not an object with `code`"
            others.append(BrokenItem(problem, json.dumps(item, default=str)[:400], truncated=False))
            found.append(others[-1])
    return found if len(found) > len(others) or _HOLDER.search(key) else []


def _code(value: Item, expected: bool) -> str | None:
    for name in _CODE_KEYS:
        code = value.get(name)
        if isinstance(code, list) and code and all(isinstance(line, str) for line in code):
            code = "\n".join(str(line).rstrip("\n") for line in code)
            if not _LOOKS_LIKE_CODE.match(code):
                continue
        if not isinstance(code, str):
            continue
        if (name == "code" and expected and code.strip()) or (_LOOKS_LIKE_CODE.match(code) and "def " in code):
            # Python's `\b` and `\f`, written into JSON without doubling the backslash, arrive as control characters.
            return code.replace("\x08", "\\b").replace("\x0c", "\\f")
    return None


def _named(key: str) -> Item:
    """The key of an item may be its family, or else serve as its name."""
    from search.proposers.question.prompt import FAMILIES

    if key.lower() in FAMILIES:
        return {"family": key.lower()}
    return {} if not key or _HOLDER.fullmatch(key.rstrip("s")) or key in _CALL_KEYS else {"name": key}


def _salvaged_item(piece: str) -> Item | BrokenItem:
    problem, truncated = "", False
    for repaired in (piece, _escapes_repaired(piece)):
        try:
            value, _ = _DECODER.raw_decode(repaired)
        except json.JSONDecodeError as error:
            problem = f"invalid JSON: {error.msg} at character {error.pos}"
            truncated = error.msg.startswith("Unterminated string") or error.pos >= len(repaired.rstrip())
        except (ValueError, RecursionError) as error:
            problem = f"invalid JSON: {error}"[:200]
        else:
            items = items_in(value)
            return items[0] if len(items) == 1 else BrokenItem("an object without `code`", piece, truncated=False)
    if (item := _from_literal(piece)) is not None:
        return item
    if not truncated and (item := _repaired(piece)) is not None:
        return item
    if len(items := coded_items(piece)) == 1:
        return items[0]
    return BrokenItem(problem, piece, truncated)


def _from_literal(piece: str) -> Item | None:
    """Of an object that is Python rather than JSON: triple quotes around the code, `None`."""
    for end in [place.end() for place in re.finditer(r"\}", piece)][-3:]:
        items = literal_items(piece[:end])
        if len(items) == 1 and isinstance(items[0], dict) and "code" in items[0]:
            return items[0]
    return None


def _repaired(piece: str) -> Item | None:
    """What json-repair reads where commas, quotes or brackets are missing; None if no code came out whole.

    It closes what was cut off, so it must not be asked about a truncated piece.
    """
    import json_repair

    try:
        item = json_repair.loads(piece)
    except (ValueError, RecursionError):  # nested too deeply
        return None
    if isinstance(item, list):
        item = next((inner for inner in item if isinstance(inner, dict)), None)
    if isinstance(item, dict) and "def reward" in str(item.get("code")):
        return next((inner for inner in items_in(item) if isinstance(inner, dict)), None)
    return None


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _pairs(pairs: list[tuple[str, object]]) -> Item:
    """An object; where a key occurs twice, as where a model forgot to begin a new one, all of them as a list."""
    objects: list[Item] = [{}]
    for name, value in pairs:
        if name in objects[-1]:
            objects.append({})
        objects[-1][name] = value
    return objects[0] if len(objects) == 1 else {"candidates": objects}


_DECODER = json.JSONDecoder(strict=False, object_pairs_hook=_pairs)


def _escapes_repaired(text: str) -> str:
    r"""Doubles the backslash of escapes that JSON does not know (`\d`, `\s`, `\.`), the usual slip with regexes."""
    return _BAD_ESCAPE.sub(lambda match: match[1] or "\\\\", text)


def _insertions(text: str, end: int) -> int:
    """Backslashes that the repair put in before that place of its result."""
    inserted = 0
    for match in _BAD_ESCAPE.finditer(text):
        if match.start() + inserted >= end:
            break
        inserted += match[1] is None
    return inserted
