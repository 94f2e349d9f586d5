"""The answer of a completion, read strictly from its format or flexibly from wherever it stands.

Everything here runs in time linear in the text and raises for no text.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Literal

from eval.answers.formats import AnswerFormat

AnswerKind = Literal["number", "mathematics", "text"]

LONGEST_ANSWER = 1_000
"""Characters; a longer text between the tags is not an answer."""

_HAS_DIGIT = re.compile("[0-9]")
_NUMBER_IN_TEXT = re.compile(r"(?:(?<![0-9A-Za-z.)])-)?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?")
_ANNOUNCEMENTS = ("answer is", "answer:", "Answer:", "ANSWER:", "####")


@dataclass(frozen=True, slots=True)
class Extraction:
    """The answer read from a completion. None: nothing could be read in that mode."""

    strict: str | None
    """Read only from the answer tags of the task's format."""
    flexible: str | None
    """The tagged answer, else the last thing that looks like an answer."""


def extract_answer(completion: str, form: AnswerFormat, kind: AnswerKind = "number") -> Extraction:
    """Strict: what the format's last complete answer tag (or `\\boxed{}`) holds, if it can be an answer of this kind.

    Flexible: the strict one; else the last `\\boxed{}`; else what follows the last "answer is" or "####"; else, for
    numbers and mathematics, the last number of the text.
    """
    found = last_boxed(completion) if form.answer_tag is None else last_tagged(completion, form.answer_tag)
    strict = found.strip() if found is not None and is_answer(found, kind) else None
    return Extraction(strict, strict if strict is not None else _flexible(completion, form, kind))


def is_answer(text: str, kind: AnswerKind) -> bool:
    """Whether the text can be an answer of the kind at all: not empty, not an essay, and a number has digits."""
    text = text.strip()
    if not text or len(text) > LONGEST_ANSWER:
        return False
    return kind != "number" or _HAS_DIGIT.search(text) is not None


def last_tagged(text: str, tag: str) -> str | None:
    """What stands in the last complete `<tag>...</tag>` pair."""
    end = text.rfind(f"</{tag}>")
    start = text.rfind(f"<{tag}>", 0, max(end, 0))
    return None if start < 0 else text[start + len(tag) + 2 : end]


def last_boxed(text: str) -> str | None:
    """What stands in the last `\\boxed{...}` or `\\fbox{...}` whose braces close."""
    start = max(text.rfind("\\boxed{"), text.rfind("\\fbox{"))
    if start < 0:
        return None
    opening = text.index("{", start)
    depth = 0
    for position in range(opening, len(text)):
        depth += (text[position] == "{") - (text[position] == "}")
        if depth == 0:
            return text[opening + 1 : position]
    return None


def _flexible(completion: str, form: AnswerFormat, kind: AnswerKind) -> str | None:
    boxed = last_boxed(completion)
    if boxed is not None and is_answer(boxed, kind):
        return boxed.strip()
    # An answer tag that never closes, then announcements in words.
    marks = list(_ANNOUNCEMENTS) + ([f"<{form.answer_tag}>"] if form.answer_tag else [])
    announced = max((completion.rfind(mark) + len(mark) for mark in marks if mark in completion), default=-1)
    if announced >= 0:
        rest = completion[announced : announced + LONGEST_ANSWER]
        answer = _first_answer(rest, kind)
        if answer is not None:
            return answer
    if kind == "text":
        return None
    numbers = deque(_NUMBER_IN_TEXT.finditer(completion), maxlen=1)
    return numbers[0].group() if numbers and len(numbers[0].group()) <= LONGEST_ANSWER else None


def _first_answer(text: str, kind: AnswerKind) -> str | None:
    line = text.strip().split("\n", 1)[0]
    if kind == "number":
        match = _NUMBER_IN_TEXT.search(line)
        return match.group() if match else None
    line = re.split(r"<|\.(?:\s|$)", line, maxsplit=1)[0].strip(" :*`\"'")
    return line or None
