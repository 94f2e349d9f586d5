"""Candidates out of whatever a model or a person answers: JSON, fenced code, bare code, or none of these.

Nothing of a reply is executed. Every item that does not become a candidate is kept with its reason.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from rewards_generated.contract import docstring
from rewards_generated.identity import parse
from search.proposers.base import UnusableItem
from search.proposers.question.prompt import without_surrogates
from search.proposers.replies.json_items import BrokenItem, coded_items
from search.proposers.replies.segments import PYTHON, Segment, segments
from search.proposers.replies.source import (
    CODE_LINE,
    REWARD_LINE,
    code_problem,
    defined_rewards,
    is_stub,
    parses,
    tidied,
    without_prose,
)
from search.proposers.replies.tagged import tagged_items

EXCERPT = 400
_LAST_TOKEN = re.compile(r"(?:<\|\w{1,30}\|>|</s>|<end_of_turn>)\Z")
_HEADER_FIELD = re.compile(
    r"^[^a-z0-9\n]*(name|family|description)[^a-z0-9\n]*?[:=](.*)$", re.IGNORECASE | re.MULTILINE
)
_HEADER_LINES = re.compile(r"\A(?:[ \t]*(?:(?:name|family|description)[ \t]*:[^\n=]*)?\n)+", re.IGNORECASE)
_HEADING = re.compile(r"^#{1,6}[ \t](.*)$", re.MULTILINE)
_NEXT_ITEM = re.compile(
    r"^(?=#{1,6}[ \t]|[*_\-\d.) \t]{0,8}(?:name[*_` \t]{0,4}:|candidate\b))", re.IGNORECASE | re.MULTILINE
)
_DECORATION = "*_`\"', \t"
_COUNTER = re.compile(r"^(?:candidate|reward(?: function)?|variant)?\s*#?\d*\s*[.:)\-–—]*\s*", re.IGNORECASE)
_REFUSAL = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able)|i (?:can(?:'|no)?t|cannot|won't|will not)"
    r"|as an ai\b|unable to (?:help|assist))",
    re.IGNORECASE,
)
_PLAIN = ("", "text", "plaintext", "txt", "plain", "none", "code")
_LOOKS_LIKE_REWARD = re.compile(r"\bdef |\breward\w*[ \t]*\([^\n]*completion|^[ \t]+return\b", re.MULTILINE)
_LOST = re.compile(r"(?:(?<=\\n)|(?<![`\w]))def reward\w*\([^`]{1,2000}?\breturn\b[^\n]{0,200}")
_STOPPED = ("content_filter", "refusal")


@dataclass(frozen=True, slots=True)
class ReplyItem:
    """One readable candidate: its code parses and defines `reward` with the right parameters."""

    name: str
    family: str
    description: str
    code: str


Read = list[ReplyItem | UnusableItem]


def parse_reply(reply: str, finish_reason: str = "") -> tuple[list[ReplyItem], list[UnusableItem]]:
    """The readable candidates of a reply in their order, and everything else in it that was meant to be one.

    `finish_reason` as the provider gives it; `length`, `content_filter` and `refusal` have a meaning here.
    """
    text = _as_text(reply.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")).strip()
    if last := _LAST_TOKEN.search(text, max(0, len(text) - 40)):
        text = text[: last.start()].rstrip()
    if len(REWARD_LINE.findall(text)) == 1 and code_problem(text) is None:
        parts, thoughts = [Segment("text", text)], ""
    else:
        parts, thoughts = segments(text)
        text = "".join(part.text for part in parts).strip()
    found = _read(parts, cut_off=finish_reason in ("length", *_STOPPED))
    items = [item for item in found if isinstance(item, ReplyItem)]
    unusable = [item for item in found if isinstance(item, UnusableItem)]
    if thoughts:
        unusable.append(UnusableItem("truncated", "the reply ends inside the model's thoughts", excerpt(thoughts)))
    if not found and not (thoughts and finish_reason not in _STOPPED):
        unusable.append(_nothing_found(text, finish_reason))
    elif finish_reason == "length" and not any(item.reason == "truncated" for item in unusable):
        unusable.append(UnusableItem("truncated", "the reply ended at the limit of tokens", excerpt(text[-EXCERPT:])))
    elif finish_reason in _STOPPED:
        unusable.append(UnusableItem("refused", "the provider stopped the reply", excerpt(text[-EXCERPT:])))
    return items, unusable


def readable_name(text: str) -> str:
    """A name in lower case letters, digits and underscores, at most 48 characters; empty if nothing is left."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:48].strip("_")
    return f"reward_{name}"[:48] if name[:1].isdigit() else name


def _as_text(reply: str) -> str:
    """What a reply says that is one JSON string."""
    if reply.lstrip().startswith('"'):
        try:
            text = json.loads(reply, strict=False)
        except ValueError:
            return reply
        return text if isinstance(text, str) else reply
    return reply


def _read(parts: list[Segment], cut_off: bool) -> Read:
    """`before`: text since the last candidate, whose header lines describe the next one; `facts`: the same as JSON."""
    found: Read = []
    before = ""
    facts: dict[str, object] = {}
    for place, part in enumerate(parts):
        if part.kind == "text":
            read = _of_text(part.text, {**facts, **_header(before)}, cut_off and part is parts[-1])
            found += read
            before = part.text if read else before + part.text
        elif part.kind == "json":
            following = next((later for later in parts[place + 1 :] if later.kind != "text"), None)
            if len(part.items) == 1 and _describes(part.items[0]) and following and following.kind == "block":
                facts = dict(part.items[0])  # type: ignore[call-overload]
                continue
            found += [result for item in part.items for result in _of_item(item)]
            before, facts = "", {}
        elif read := _of_block(part, {**_header(before), **facts}, cut_off):
            found += read
            before, facts = (part.text if part.implied else ""), {}
    return found


def _describes(item: object) -> bool:
    return isinstance(item, dict) and "code" not in item


def _of_item(item: object) -> Read:
    if isinstance(item, BrokenItem):
        reason: Literal["malformed", "truncated"] = "truncated" if item.truncated else "malformed"
        return [UnusableItem(reason, item.problem, excerpt(item.text))]
    assert isinstance(item, dict)
    return read_candidate(item.get("code"), item)


def _of_block(block: Segment, fields: dict[str, object], cut_off: bool) -> Read:
    code = block.text
    if PYTHON.fullmatch(block.language):
        if not code.strip() or _is_usage(code):
            return []
    elif not _is_meant_as_reward(block.language, code):
        return _unread(code)
    if not block.closed and (cut_off or code_problem(tidied(code)) is not None):
        problem = "the code block is not closed, so the candidate may be cut off"
        return [UnusableItem("truncated", problem, excerpt(code))]
    return read_candidate(code, fields)


def _is_meant_as_reward(language: str, code: str) -> bool:
    """Whether a block that is not called Python is offered as a candidate all the same."""
    if language in _PLAIN and _LOOKS_LIKE_REWARD.search(code):
        return True
    return "def reward" in code and REWARD_LINE.search(tidied(code)) is not None


def _unread(text: str) -> Read:
    """What looks like source in text that is none."""
    if items := coded_items(text):
        return [result for item in items for result in _of_item(item)]
    problem = "code that is neither a JSON object nor a Python code block"
    return [UnusableItem("malformed", problem, excerpt(match[0])) for match in _LOST.finditer(text)]


def _is_usage(code: str) -> bool:
    """Whether a block defines nothing, as where it shows a call or a completion."""
    return not re.search(r"\b(?:def|class|lambda)\b|^reward\b[^(\n]*=", code, re.MULTILINE) and parses(code)


def _of_text(text: str, fields: dict[str, object], cut_off: bool) -> Read:
    """Code without any fence, perhaps between tags, or with a sentence before and after it."""
    if tagged := tagged_items(text):
        return [result for item in tagged for result in read_candidate(item["code"], item)]
    if REWARD_LINE.search(text) is None:
        return _unread(text)
    pieces = [text]
    if len(REWARD_LINE.findall(text)) > 1:
        starts = [0, *(match.start() for match in _NEXT_ITEM.finditer(text)), len(text)]
        pieces = [text[start:end] for start, end in pairwise(starts)]
    found: Read = []
    before = ""
    for piece in pieces:
        if REWARD_LINE.search(piece) is None:
            before += piece
            continue
        lines = piece.strip().split("\n")
        start = next((number for number, line in enumerate(lines) if CODE_LINE.match(line)), 0)
        header = {**fields, **_header(before + "\n".join(lines[:start]))}
        code = without_prose("\n".join(lines[start:]))
        if cut_off and text.rstrip().endswith(code.rstrip()):
            found.append(UnusableItem("truncated", "the reply ends in the code, so it may be cut off", excerpt(code)))
        else:
            found += read_candidate(code, header)
        before = ""
    return found


def read_candidate(code: object, fields: dict[str, object]) -> Read:
    """One candidate, and every earlier function of the same name that it hides."""
    if not isinstance(code, str) or not code.strip():
        return [UnusableItem("malformed", "the field `code` is missing or empty", excerpt(str(fields)))]
    code = without_surrogates(code)
    if (inside := _HEADER_LINES.match(code)) and inside[0].strip():
        fields = {**_header(inside[0]), **fields}
        code = code[inside.end() :]
    code = tidied(_unfenced(code))
    problem = code_problem(code)
    if problem:
        return [UnusableItem("malformed", problem, excerpt(code))]
    *hidden, function = defined_rewards(parse(code))
    if is_stub(function):
        return [UnusableItem("malformed", "the function `reward` has no body, only its signature", excerpt(code))]
    about = docstring(parse(code))
    comments = _header("\n".join(line for line in code.split("\n")[:5] if line.startswith("#")))
    name = readable_name(_text(fields, "name") or _text(comments, "name")) or "candidate"
    description = " ".join((_text(fields, "description") or about).split())[:500]
    family = readable_name(_text(fields, "family") or _text(comments, "family"))
    if "reflect" in family or (not family and "reflect" in f"{name} {about}".lower()):
        family = "reflection"
    problem = "a later `def reward` of the same code replaces it; give each candidate a code block of its own"
    lines = code.split("\n")
    replaced = [
        UnusableItem("malformed", problem, excerpt("\n".join(lines[earlier.lineno - 1 : earlier.end_lineno])))
        for earlier in hidden
    ]
    return [ReplyItem(name, family, description, code), *replaced]


def _unfenced(code: str) -> str:
    """Without a fence of its own, and the sentences around that."""
    if ("```" not in code and "~~~" not in code) or code_problem(code) is None:
        return code
    blocks = [part for part in segments(code)[0] if part.kind == "block" and "def " in part.text]
    return blocks[0].text if len(blocks) == 1 else code


def _header(text: str) -> dict[str, object]:
    """The fields of the lines before a code block; without a name, the last heading there serves."""
    fields: dict[str, object] = {
        match[1].lower(): match[2].strip(_DECORATION) for match in _HEADER_FIELD.finditer(text)
    }
    headings = _HEADING.findall(text)
    if headings and not fields.get("name"):
        fields["name"] = _COUNTER.sub("", headings[-1].strip(_DECORATION))
    return fields


def _text(fields: dict[str, object], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _nothing_found(text: str, finish_reason: str) -> UnusableItem:
    if finish_reason in ("content_filter", "refusal"):
        return UnusableItem("refused", "the provider or the model refused to answer", excerpt(text))
    if finish_reason == "length":
        return UnusableItem("truncated", "the reply ended at the limit of tokens before any candidate", excerpt(text))
    if not text:
        return UnusableItem("malformed", "the reply is empty but for the model's thoughts, if any", "")
    if _REFUSAL.search(text[:600]):
        return UnusableItem("refused", "the model refused to answer", excerpt(text))
    return UnusableItem(
        "malformed", "no candidate was found: neither a JSON object nor a Python code block", excerpt(text)
    )


def excerpt(text: str) -> str:
    """The beginning of the text, for people and for the next prompt."""
    text = without_surrogates(text).strip()
    return text if len(text) <= EXCERPT else text[:EXCERPT] + " …"
