"""A reply taken apart: text, code blocks and items of JSON in their order, without the model's thoughts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from rewards_generated.contract import FUNCTION_NAME
from search.proposers.replies.fences import FENCE, Block, Opening, block_at, opening
from search.proposers.replies.json_items import (
    JSON,
    BrokenItem,
    Found,
    coded_items,
    decoded,
    items_in,
    literal_items,
    salvaged,
)
from search.proposers.replies.source import REWARD_LINE, is_candidate, parses, tidied
from search.proposers.replies.tagged import CODE_TAG, CODE_TAG_END
from search.proposers.replies.thoughts import MARK, mark_of, marks, without_leaked_channel

_PLACE = re.compile(f"(?P<fence>{FENCE})|(?P<raw>{CODE_TAG})|(?P<json>{JSON})|{MARK}", re.MULTILINE)
_MARK = re.compile(MARK, re.MULTILINE)
_JSON = re.compile(JSON)
_BETWEEN_VALUES = re.compile(r"[\s,;]*(?=[{\[])")
_REST_OF_BLOCK = re.compile(r"\s*^[ \t>]*(?:`{3,}|~{3,})[^\S\n]*(?:<[^\n]*)?(?:\n|\Z)", re.MULTILINE)
_VALUE_STARTS = re.compile(r"\s*(?=[{\[])")
_MEANT_AS_ITEM = re.compile(r'\{\s*["\'](?:name|family|description|code|candidates)["\']\s*:')
_DEFINES = f"def {FUNCTION_NAME}("
_ENDED = re.compile(r"[}\]][^{}\[\]\"]*\Z")
_FAILURES = 100
"""Places that are tried in vain; a reply that ran into repetition has thousands of them."""
PYTHON = re.compile(r"(?:i?python|py|pycon|gpython)[\d.]*(?:-repl|-console)?|tool_code")
_THOUGHTS = ("think", "thinking", "thought", "thoughts", "reasoning", "analysis", "scratchpad")
_TRANSPARENT = ("markdown", "md", "mdx", "xml", "html")


@dataclass(frozen=True, slots=True)
class Segment:
    """`items`: of a segment of JSON. `language`, `closed`, `implied`: as of a Block."""

    kind: Literal["text", "block", "json"]
    text: str
    items: tuple[object, ...] = ()
    language: str = ""
    closed: bool = True
    implied: bool = False


def segments(text: str) -> tuple[list[Segment], str]:
    """The segments of a reply in their order, and the thoughts that it ends in ("" if it does not end in any)."""
    reader = _Reader(without_leaked_channel(text))
    return reader.segments, reader.unfinished


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.segments: list[Segment] = []
        self.unfinished = ""
        self._start = self._position = 0
        self._failures = 0
        self._opened: tuple[str, ...] = ()
        self._opened_at = self._kept = 0
        self._read()

    def _read(self) -> None:
        while match := _PLACE.search(self.text, self._position):
            self._position = max(match.end(), self._position + 1)
            if match["fence"] is not None:
                opened = opening(match)
                if opened is None or _JSON.search(match[0]):
                    self._position = match.start() + 1
                else:
                    self._block(match, opened)
            elif match["raw"] is not None:
                self._raw(match.end())
            elif match["json"] is not None:
                self._json(match.start())
            else:
                self._mark(match)
        if self._opened:
            del self.segments[self._kept :]
            self.unfinished = self.text[self._opened_at :]
        else:
            self._add_text(len(self.text))

    def _add_text(self, end: int) -> None:
        if (between := self.text[self._start : end]).strip():
            self.segments.append(Segment("text", between))

    def _add(self, segment: Segment, start: int, end: int) -> None:
        self._add_text(start)
        self.segments.append(segment)
        self._start = self._position = end

    def _mark(self, match: re.Match[str]) -> None:
        mark = mark_of(match, self._opened)
        if mark is None:
            return
        if not mark.closes:
            if not self._opened:
                self._add_text(match.start())
                self._kept, self._opened_at = len(self.segments), match.start()
            if mark.name not in self._opened:
                self._opened = (*self._opened, mark.name)
            return
        if mark.name in self._opened:
            self._opened = self._opened[: self._opened.index(mark.name)]
        elif self._opened:
            self._opened = ()
        else:
            self._kept = 0
        if not self._opened:
            del self.segments[self._kept :]
            self._start = match.end()

    def _raw(self, start: int) -> None:
        """Source between tags stays text, but nothing in it is a mark."""
        closing = CODE_TAG_END.search(self.text, start) if self._failures < _FAILURES else None
        if closing and is_candidate(self.text[start : closing.start()]):
            self._position = closing.end()
        else:
            self._failures += 1

    def _json(self, start: int) -> None:
        self._position = start + 1
        if self._failures >= _FAILURES:
            return
        in_code = self._is_in_code(start)
        found = decoded(self.text, start)
        if found is not None:
            if items := items_in(found[0], expected=not in_code):
                self._add(Segment("json", self.text[start : found[1]], tuple(items)), start, found[1])
            else:
                self._position = found[1]
            return
        self._failures += 1
        if in_code or not _MEANT_AS_ITEM.search(self.text, start):
            return
        end = self._end_of_broken(start)
        broken = self.text[start:end]
        if _MEANT_AS_ITEM.search(broken) and (items := _items_of_broken(broken)):
            self._add(Segment("json", broken, tuple(items)), start, end)

    def _is_in_code(self, place: int) -> bool:
        """Code without a fence may hold dicts that look alike: after `def reward`, or assigned, or as an argument."""
        if self.text[max(self._start, place - 20) : place].rstrip(" ").endswith(("=", "(")):
            return True
        return REWARD_LINE.search(self.text, self._start, place) is not None

    def _end_of_broken(self, start: int) -> int:
        """Up to thoughts, or to a block that is opened after the brackets are closed."""
        for match in _PLACE.finditer(self.text, start + 1):
            if match["fence"] is not None:
                opened = opening(match)
                if opened and _ENDED.search(self.text[max(start, match.start() - 600) : match.start()]):
                    return match.start()
            elif match["raw"] is None and match["json"] is None and mark_of(match, self._opened):
                return match.start()
        return len(self.text)

    def _block(self, match: re.Match[str], opened: Opening) -> None:
        if marks(self.text, match.start(), match.end()):
            self._position = match.start() + 1
            return
        if opened.language in _TRANSPARENT:
            return
        python = PYTHON.fullmatch(opened.language) is not None
        begins = _VALUE_STARTS.match(self.text, opened.start)
        if begins and not python and not opened.first and self._json_block(match, opened, begins.end()):
            return
        if self._failures >= _FAILURES:
            return
        block = block_at(self.text, opened, _is_whole)
        if block.implied and not block.language and not is_candidate(block.code):
            return
        whole = _is_whole(block.language, block.code)
        self._failures += not whole
        if not whole and block.code.count(_DEFINES) > 1:
            return
        if marks(self.text, opened.start, block.end) > self._marks_kept(block, whole):
            return
        self._add(self._segment(block, python), match.start(), block.end)

    def _marks_kept(self, block: Block, whole: bool) -> int:
        """Marks in strings and examples, which mean nothing; any further one ends thoughts that left a block open."""
        if not whole or not block.closed or (block.implied and "def " not in block.code):
            return 0
        code = tidied(block.code) if "def " in block.code else block.code
        return marks(code, 0, len(code))

    def _segment(self, block: Block, python: bool) -> Segment:
        if block.language in _THOUGHTS:
            return Segment("text", "\n")
        if not is_candidate(block.code) and (items := literal_items(block.code) if python else []):
            return Segment("json", block.code, tuple(items))
        return Segment("block", block.code, (), block.language, block.closed, block.implied)

    def _json_block(self, match: re.Match[str], opened: Opening, start: int) -> bool:
        """Reads one or several values up to the closing fence; False if the block holds no JSON."""
        items: Found = []
        position = start
        while (found := decoded(self.text, position)) is not None:
            items += items_in(found[0])
            position = found[1]
            if not (following := _BETWEEN_VALUES.match(self.text, position)):
                break
            position = following.end()
        closing = _REST_OF_BLOCK.match(self.text, position) if position > start else None
        end = closing.end() if closing else position
        if closing is None:
            self._failures += 1
            block = block_at(self.text, opened, _ends_in_bracket)
            found_marks = _MARK.finditer(self.text, position, block.end)
            mark = next((item.start() for item in found_marks if mark_of(item, ())), 0)
            end = mark or block.end
            rest = block.code if position == start and not mark else self.text[position:end]
            items += _items_of_broken(rest) if position == start or _MEANT_AS_ITEM.search(rest) else []
            if not items and "def " in rest:
                return False
        self._add(Segment("json", self.text[start:end], tuple(items)), match.start(), end)
        return True


def _is_whole(language: str, code: str) -> bool:
    """Whether a block may end here: it is a candidate, or nothing like one."""
    if "def " not in code:
        return not PYTHON.fullmatch(language) or parses(code)
    return is_candidate(code)


def _ends_in_bracket(language: str, code: str) -> bool:
    return code.rstrip().endswith(("}", "]"))


def _items_of_broken(text: str) -> Found:
    found = literal_items(text) or salvaged(text) or coded_items(text)
    read = sum((item.text if isinstance(item, BrokenItem) else str(item)).count(_DEFINES) for item in found)
    lost = BrokenItem("an item of which not even the beginning could be read", text, truncated=False)
    return [*found, *[lost] * (text.count(_DEFINES) - read)]
