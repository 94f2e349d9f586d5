"""Fenced code blocks of a Markdown text, as models write them rather than as the standard has them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

FENCE = r"^[ \t>]*(?:`{3,}|~{3,})[^\n]*$"
_FENCE = re.compile(r"^[ \t>]*(`{3,}|~{3,})[ \t]*([\w+#.-]*)[ \t]*(.*)$")
_ANY = re.compile(FENCE, re.MULTILINE)
_ATTRIBUTES = re.compile(r"\{[ \t]*\.?([\w+#-]+)")
_SHORTEST = "```"
_ENDS_TRIED = 8
_LONGEST_SEARCH = 200
"""Fence lines looked at in search of the end of one block."""
_CODE = re.compile(r"import |from \w+(?:\.\w+)* import |def |\"\"\"|'''")


@dataclass(frozen=True, slots=True)
class Block:
    """`end`: where the text after it begins. `closed`: False if the text ends inside the block.

    `implied`: it ends where another one is opened.
    """

    language: str
    code: str
    end: int
    closed: bool = True
    implied: bool = False


@dataclass(frozen=True, slots=True)
class Opening:
    """A line that opens a block. `first`: code on that line. `start`: where the next line begins."""

    mark: str
    language: str
    first: str
    start: int


def opening(line: re.Match[str]) -> Opening | None:
    """What a line that matches FENCE opens; None if it is no opening (such as a span of code in one line)."""
    found = _FENCE.match(line[0])
    if found is None or "`" in found[3]:
        return None
    language = found[2].lower()
    attributes = _ATTRIBUTES.match(found[3])
    if not language and attributes:
        language = attributes[1].lower()
    first = found[3].strip() if _CODE.match(found[3]) else ""
    if language in ("import", "from", "def"):
        language, first = "", f"{found[2]} {found[3]}".strip()
    return Opening(found[1], language, first, min(line.end() + 1, len(line.string)))


def block_at(text: str, opened: Opening, acceptable: Callable[[str, str], bool]) -> Block:
    """The block that begins there.

    Code may itself hold a line that looks like a fence (inside a triple-quoted string), and a fence may be forgotten.
    So where the text up to the first closing fence is not `acceptable(language, code)`, the next few ends are tried:
    closing fences, lines of code with a closing fence behind them, and fences that open another block. If none helps,
    the first one counts.
    """
    first: Block | None = None
    for stop, end, implied in _ends(text, opened):
        block = Block(opened.language, _code(text, opened, stop), end, implied=implied)
        if acceptable(block.language, block.code):
            return block
        first = first or block
    first = first or Block(opened.language, _code(text, opened, len(text)), len(text), closed=False)
    if (trailing := _trailing_end(text, opened, first.end)) is not None:
        block = Block(opened.language, _code(text, opened, trailing[0]), trailing[1])
        if acceptable(block.language, block.code):
            return block
    return first


def _ends(text: str, opened: Opening) -> Iterator[tuple[int, int, bool]]:
    """(where the code stops, where the text goes on, whether the end is only implied) of every end to try."""
    found = 0
    for looked_at, line in enumerate(_ANY.finditer(text, opened.start)):
        fence = _FENCE.match(line[0])
        if looked_at == _LONGEST_SEARCH or found == _ENDS_TRIED:
            return
        if fence is None:
            continue
        if fence[1][0] != opened.mark[0] or len(fence[1]) < len(opened.mark):
            if fence[1][0] != opened.mark[0] and fence[2]:
                found += 1
                yield line.start(), line.start(), True
            continue
        rest = fence[3].strip()
        if fence[2] or (rest and not rest.startswith("<")):
            if "`" not in rest:
                found += 1
                yield line.start(), line.start(), True
        else:
            going_on = line.end() - len(fence[3]) if rest else min(line.end() + 1, len(text))
            found += 1
            yield line.start(), going_on, False
    if not found and len(opened.mark) > len(_SHORTEST):
        yield from _ends(text, replace(opened, mark=opened.mark[: len(_SHORTEST)]))


def _trailing_end(text: str, opened: Opening, end: int) -> tuple[int, int] | None:
    """Of a closing fence behind the last line of the code rather than below it."""
    found = re.compile(rf"(?<=[^\s`~]){re.escape(opened.mark)}[ \t]*$", re.MULTILINE).search(text, opened.start, end)
    return (found.start(), min(found.end() + 1, len(text))) if found else None


def _code(text: str, opened: Opening, stop: int) -> str:
    lines = text[opened.start : stop].split("\n")
    if lines and all(line.lstrip().startswith(">") for line in lines if line.strip()):
        lines = [re.sub(r"^[ \t]*> ?", "", line) for line in lines]
    code = textwrap.dedent("\n".join(lines)).rstrip("\n") + "\n"
    return f"{opened.first}\n{code}" if opened.first else code
