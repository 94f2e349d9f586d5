"""Fenced code blocks of a Markdown text, as models write them rather than as the standard has them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^[ \t>]*(`{3,}|~{3,})[ \t]*([\w+#.-]*)[ \t]*(.*)$")
_CLOSINGS_TRIED = 4


@dataclass(frozen=True, slots=True)
class Block:
    """`before`: the text since the block before it. `closed`: False if the text ends inside the block."""

    language: str
    code: str
    before: str
    closed: bool


def fenced_blocks(text: str, acceptable: Callable[[str, str], bool]) -> Iterator[Block]:
    """The blocks in their order.

    Code may itself hold a line that looks like a closing fence (inside a triple-quoted string). So where the text up
    to the first closing fence is not `acceptable(language, code)`, the next few are tried; if none helps, the first
    one counts.
    """
    lines = text.split("\n")
    position = before = 0
    while position < len(lines):
        opening = _FENCE.match(lines[position])
        if opening is None or "`" in opening[3]:
            position += 1
            continue
        start = position + 1
        closings = _closings(lines, start, opening[1])
        language = opening[2].lower()
        header = "\n".join(lines[before:position])
        if not closings:
            yield Block(language, _joined(lines[start:]), header, closed=False)
            return
        end = next((line for line in closings if acceptable(language, _joined(lines[start:line]))), closings[0])
        yield Block(language, _joined(lines[start:end]), header, closed=True)
        position = before = end + 1


def _closings(lines: list[str], start: int, mark: str) -> list[int]:
    """Lines that may close a fence opened with `mark`, up to the next line that can only open one."""
    found: list[int] = []
    for number in range(start, len(lines)):
        fence = _FENCE.match(lines[number])
        if fence is None or fence[1][0] != mark[0] or len(fence[1]) < len(mark):
            continue
        if fence[2] or fence[3].strip():
            if found:
                break
            continue
        found.append(number)
        if len(found) == _CLOSINGS_TRIED:
            break
    return found


def _joined(lines: list[str]) -> str:
    return textwrap.dedent("\n".join(lines)) + "\n"
