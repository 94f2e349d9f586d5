r"""The answer of a completion, read strictly from its format or flexibly from wherever it stands.

Everything here runs in time linear in the text and raises for no text.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Literal

from rewards_generated.answers.choice import first_letter, letter_of
from rewards_generated.answers.expression import parse_expression
from rewards_generated.answers.formats import AnswerFormat
from rewards_generated.answers.number import numbers_in, parse_number

AnswerKind = Literal["number", "mathematics", "text", "choice", "expression", "program"]

LONGEST_ANSWER = 1_000
"""Characters; a longer text between the tags is not an answer, unless it is a program."""
LONGEST_PROGRAM = 20_000

_HAS_DIGIT = re.compile("[0-9\u00bc-\u00be\u2150-\u215e\uff10-\uff19]")
_ANNOUNCEMENT = re.compile(r"(?i:\banswer(?:\*\*)?\s*(?:is|:|=)(?:\*\*)?)|####")
_MARKUP = re.compile(r"</?[A-Za-z]")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
_FORMULA = re.compile(
    r"\$\$.{1,999}?\$\$"
    r"|(?<!\\)\$(?:(?![\s$])(?:\\.|[^$\\\n]){1,999}?(?<![\s\\])|\s+(?:\\.|[^$\\]){1,999}?\s|(?=[^$\n]*\\)[^$\n]{1,999}?)\$(?![0-9])"
    r"|\\\(.{1,999}?\\\)|\\\[.{1,999}?\\\]",
    re.DOTALL,
)
"""In dollars with blanks at neither end or at both, or with a command inside: prices are no formulas."""
_STATED = re.compile(r"\b(?:is|are|equals|be)\b(?:\s+(?:equal\s+to|therefore|thus|then|just|simply))?\s*:?\s*")
_BETWEEN_BOXES = re.compile(
    r"(?:[\s,;.$]|\\q?quad(?![a-z])|\\[,; ()\[\]]|\\(?:text|mathrm)\{\s*(?:and|or)?\s*\}|\b(?:and|or)\b)*"
)
_JOINT = re.compile(r"[,;]|\band\b|\bor\b")
_NEAR_THE_END = 20_000
"""Characters in which the last formula is looked for."""
_CODE_BLOCK = re.compile(r"```[A-Za-z0-9+-]*[ \t]*\n(.*?)```", re.DOTALL)
_JOINED = re.compile(r"\s*(?:,\s*and|,\s*or|and|or|,)\s*")
_BOX_OR_BRACE = re.compile(r"\\[{}\\]|\\f?boxed(?![A-Za-z])\s*\{?|\\fbox\s*\{|[{}]")
_BARE_BOX = re.compile(r"\\boxed\s+([^\s${}\\]+)")


@dataclass(frozen=True, slots=True)
class Extraction:
    """The answer read from a completion. None: nothing could be read in that mode."""

    strict: str | None
    """Read only from the answer tags of the task's format."""
    flexible: str | None
    """The tagged answer, else the last thing that looks like an answer."""


def extract_answer(completion: str, form: AnswerFormat, kind: AnswerKind = "number") -> Extraction:
    r"""Strict: what the format's last complete answer tag (or `\boxed{}`) holds, if it can be an answer of this kind;
    of a sentence around the answer, the answer.

    Flexible: the strict one; else the last `\boxed{}`; else what follows the last "answer is" or "####"; else, for
    numbers and mathematics, the last formula or number of the text. A number or formula is always taken whole. Of
    programs: the strict one, else the last block of code between fences.
    """
    found = last_boxed(completion) if form.answer_tag is None else last_tagged(completion, form.answer_tag)
    strict = None
    if found is not None and is_answer(found, kind):
        strict = _within(found.strip(), kind)
    return Extraction(strict, strict if strict is not None else _flexible(completion, form, kind))


def is_answer(text: str, kind: AnswerKind) -> bool:
    """Whether the text can be an answer of the kind at all: not empty, no essay, with digits where it needs them."""
    text = text.strip()
    if not text or len(text) > (LONGEST_PROGRAM if kind == "program" else LONGEST_ANSWER):
        return False
    return kind not in ("number", "expression") or _HAS_DIGIT.search(text) is not None


def last_tagged(text: str, tag: str) -> str | None:
    """What stands in the last complete `<tag>...</tag>` pair."""
    end = text.rfind(f"</{tag}>")
    start = text.rfind(f"<{tag}>", 0, max(end, 0))
    return None if start < 0 else text[start + len(tag) + 2 : end]


def last_boxed(text: str) -> str | None:
    r"""What stands in the last `\boxed{...}` or `\fbox{...}` that is closed and not empty; `\boxed 2` counts too. Of
    boxes that "and", "or" or a comma joins the whole passage, since they are one answer."""
    boxes: list[tuple[int, int, int]] = []
    opened: list[tuple[int, int]] = []
    for match in _BOX_OR_BRACE.finditer(text):
        token = match.group()
        if token in ("\\{", "\\}", "\\\\"):
            continue
        if token.endswith("{"):
            opened.append((match.end(), match.start() if token != "{" else -1))
        elif token == "}" and opened:
            inside, start = opened.pop()
            # Of nested boxes the inner one, which closes first.
            if start >= 0 and (not boxes or start > boxes[-1][0]) and text[inside : match.start()].strip():
                boxes.append((start, inside, match.start()))
    bare = next(iter(deque(_BARE_BOX.finditer(text), maxlen=1)), None)
    if bare is not None and (not boxes or bare.start() > boxes[-1][0]):
        return bare[1].rstrip(".,;:")
    if not boxes:
        return None
    first = len(boxes) - 1
    while first > 0:
        between = text[boxes[first - 1][2] + 1 : boxes[first][0]]
        if not _JOINT.search(between) or _BETWEEN_BOXES.fullmatch(between) is None:
            break
        first -= 1
    if first < len(boxes) - 1:
        return text[boxes[first][0] : boxes[-1][2] + 1]
    return text[boxes[-1][1] : boxes[-1][2]]


def _within(text: str, kind: AnswerKind) -> str:
    """The answer in what stands between the tags: all of it, except where a sentence or a mark stands around it."""
    if kind in ("text", "program") or _is_whole(text, kind):
        return text
    boxed = last_boxed(text)
    if boxed is not None:
        return boxed.strip()
    if announced := _announced(text, kind):
        return announced
    return text


def _is_whole(text: str, kind: AnswerKind) -> bool:
    """Whether all of the text is one answer, so that none has to be looked for in it."""
    if kind == "number":
        return parse_number(text) is not None
    if kind == "choice":
        return letter_of(text) is not None
    return kind == "expression" and parse_expression(text) is not None


def _flexible(completion: str, form: AnswerFormat, kind: AnswerKind) -> str | None:
    if kind == "program":
        blocks = deque(_CODE_BLOCK.finditer(completion), maxlen=1)
        return blocks[0][1] if blocks and is_answer(blocks[0][1], kind) else None
    boxed = last_boxed(completion)
    if boxed is not None and is_answer(boxed, kind):
        return _within(boxed.strip(), kind)
    if (answer := _announced(completion, kind, form.answer_tag)) is not None:
        return answer
    if kind not in ("number", "mathematics"):
        return None
    if kind == "mathematics" and (formula := _last_formula(completion)) is not None:
        return formula
    numbers = deque(numbers_in(completion), maxlen=1)
    return numbers[0] if numbers and len(numbers[0]) <= LONGEST_ANSWER else None


def _announced(text: str, kind: AnswerKind, tag: str | None = None) -> str | None:
    """What follows the last announcement in words, or an answer tag that never closes."""
    place = -1
    for match in _ANNOUNCEMENT.finditer(text):
        place = match.end()
    if tag is not None and (opened := text.rfind(f"<{tag}>")) >= 0:
        place = max(place, opened + len(tag) + 2)
    return None if place < 0 else _first_answer(text[place : place + LONGEST_ANSWER], kind)


def _first_answer(text: str, kind: AnswerKind) -> str | None:
    paragraph = text.strip().split("\n" if kind == "number" else "\n\n", 1)[0]
    line = _MARKUP.split(paragraph, maxsplit=1)[0]
    if kind == "number":
        return _stated_number(line)
    if kind == "choice":
        return first_letter(line)
    line = line.strip(" :*`\"'\n")
    if kind == "mathematics":
        line = _after_the_verb(line)
    if kind == "mathematics" and (formula := _FORMULA.search(line)) is not None:
        before = line[: formula.start()]
        if not _HAS_DIGIT.search(before) and not _SENTENCE_END.search(before):
            end = formula.end()
            while (joint := _JOINED.match(line, end)) and (further := _FORMULA.match(line, joint.end())):
                end = further.end()
            return line[formula.start() : end]
    end_of_sentence = _SENTENCE_END.search(line)
    line = (line[: end_of_sentence.start()] if end_of_sentence else line.split("\n", 1)[0]).strip(" :*`\"'")
    return line or None


def _after_the_verb(line: str) -> str:
    """Of `The volume is 120. I hope so.` what stands behind the last verb of the first sentence."""
    end = _SENTENCE_END.search(line)
    verbs = list(_STATED.finditer(line, 0, end.start() if end else len(line)))
    return line[verbs[-1].end() :] if verbs and line[verbs[-1].end() :].strip(" .") else line


def _stated_number(line: str) -> str | None:
    """The first number; of `4 + 5 = 9` the last side."""
    sentence = _SENTENCE_END.split(line, maxsplit=1)[0]
    if "=" in sentence:
        sides = sentence.split("=")
        for side in (sides[-1], sides[0]):
            if parse_number(side) is not None:
                return next(numbers_in(side), None)
    return next(numbers_in(line), None)


def _last_formula(text: str) -> str | None:
    """The last formula near the end, unless a number follows it."""
    end = text[-_NEAR_THE_END:]
    found = next(iter(deque(_FORMULA.finditer(end), maxlen=1)), None)
    return None if found is None or _HAS_DIGIT.search(end, found.end()) else found.group()
