"""Marks of a model's thoughts: what opens and closes them in the text of a reply, and what only mentions such a tag.

Servers should take thoughts out of replies, and often do not: the parser of the wrong model was chosen, the opening
tag was part of the prompt, or the thoughts never ended.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORD = (
    r"(?:\w{1,12}:)?(?:\w{0,12}(?:think|thought|reasoning|monologue|scratch_?pad)\w{0,12}|reason|analysis|reflection|cot"
    r"|plan|planning|brainstorm|brainstorming|deliberation|drafts?)"
)
_PAIRS = {
    "tag": (rf"(?i:<{_WORD}(?:\s[^<>\n]{{0,80}})?>)", rf"(?i:</{_WORD}\s*>)"),
    "think": (
        r"\[THINK\]|◁think▷|<｜begin▁of▁thinking｜>|&lt;think(?:ing)?&gt;",
        r"\[/THINK\]|◁/think▷|<｜end▁of▁thinking｜>|&lt;/think(?:ing)?&gt;",
    ),
    "token": (
        r"<\|(?:START_THINKING|begin_of_thought|inner_prefix|think_start|thinking_start|content_thinking)\|>"
        r"|<\|(?:think|thinking)\|>",
        r"<\|(?:END_THINKING|end_of_thought|inner_suffix|think_end|thinking_end|content_text)\|>"
        r"|<\|/(?:think|thinking)\|>",
    ),
    "sections": (r"<\|open\|>think<\|sep\|>", r"<\|close\|>think<\|sep\|>"),
    "unused": (r"\[unused16\]|<unused94>", r"\[unused17\]|<unused95>"),
    "turned": (r"<\|channel>", r"<channel\|>"),
    "details": (r"<details type=[\"']?reasoning[^<>\n]{0,80}>", r"</details>"),
    "spoken": (r"(?:Here is|Here's) my thought process:", r"(?:Here is|Here's) my response:"),
    "printed": (r"\AThinking\.{3}\n", r"^\.{3}done thinking\.\n"),
    "channel": (
        r"<\|channel\|>analysis[^<\n]{0,40}<\|message\|>",
        r"(?:<\|start\|>assistant)?<\|channel\|>final[^\n]{0,80}?<\|message\|>",
    ),
}
_LEAKED_CHANNEL = re.compile(r"\A\s*analysis(?=[A-Z]).*?assistant ?(?:final|commentary)", re.DOTALL)
"""The same as `channel`, with the special tokens dropped by the decoder."""
_STEP = r"<\|(?:end|return|call)\|>|<\|start\|>assistant|<\|channel\|>commentary[^\n]{0,120}?<\|message\|>"
"""Ends an open channel, but says nothing of what stands before where none is open."""
MARK = "|".join(
    [
        *(f"(?P<{name}_opens>{opens})|(?P<{name}_closes>{closes})" for name, (opens, closes) in _PAIRS.items()),
        f"(?P<step_closes>{_STEP})",
    ]
)
_MARK = re.compile(MARK, re.MULTILINE)
_MENTION = re.compile(
    r"[ \t]+(?:tags?|blocks?|sections?|elements?|markers?|pairs?|and|or|is|are|in|of|must|should|to|with)\b"
    r"|\s?[.,;:!?)]"
)
_SENTENCE_GOES_ON = re.compile(r"[ \t]+[a-z]|\s?[.,;:!?)]")
_HEADER = re.compile(r"^[^a-z0-9\n]{0,10}(?:name|family|description)[^a-z0-9\n]{0,10}[:=]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mark:
    """`name`: marks of one name open and close the same thoughts."""

    name: str
    closes: bool


def without_leaked_channel(text: str) -> str:
    """The text without thoughts that begin with the bare word of their channel."""
    return _LEAKED_CHANNEL.sub("", text, count=1)


def mark_of(match: re.Match[str], opened: tuple[str, ...]) -> Mark | None:
    """What a match of MARK means, given the names of the thoughts that are open; None if it is only spoken of."""
    kind, _, action = str(match.lastgroup).rpartition("_")
    if kind == "step":
        return Mark("channel", closes=True) if "channel" in opened else None
    name = kind
    if kind == "tag":
        word = re.findall(r"[\w:-]+", match[0])[0].lower()
        name = "think" if "think" in word or "thought" in word else word
    found = Mark(name, action == "closes")
    return None if _is_mentioned(match, found, opened) else found


def marks(text: str, start: int, end: int) -> int:
    """How often thoughts begin or end between the two places, but for what stands in a triple-quoted string there."""
    return sum(
        mark_of(match, ()) is not None
        for match in _MARK.finditer(text, start, end)
        if text.count('"""', start, match.start()) % 2 == text.count("'''", start, match.start()) % 2 == 0
    )


def _is_mentioned(match: re.Match[str], mark: Mark, opened: tuple[str, ...]) -> bool:
    text, start, end = match.string, match.start(), match.end()
    if not mark.closes and not text[max(0, start - 200) : start].strip():
        return False
    before = text[max(text.rfind("\n", 0, start) + 1, start - 400) : start]
    line_end = text.find("\n", end)
    after = text[end : min(line_end if line_end >= 0 else len(text), end + 200)]
    if _is_quoted(before, after, mark.closes) or _HEADER.match(before):
        return True
    fresh = not before.strip() or before.rstrip()[-1] in ".!?:…>)}*"
    attached = before[-1:].strip() != ""
    if not mark.closes:
        return not fresh or _MENTION.match(after) is not None
    goes_on = _SENTENCE_GOES_ON.match(after) is not None
    if mark.name in opened:
        return not (fresh or attached) and goes_on
    return not (fresh or attached) or goes_on


def _is_quoted(before: str, after: str, closes: bool) -> bool:
    """Whether the tag stands in a string, a pattern or in backticks."""
    following = "" if after.startswith("```") else after[:1]
    if before.count('"') % 2 or before.replace("```", "").count("`") % 2:
        return True
    if before[-1:] in ("'", "(", "[", "|", "\\") and (not closes or following not in ("", " ")):
        return True
    return following != "" and following in "'\"`\\)*+?|],"
