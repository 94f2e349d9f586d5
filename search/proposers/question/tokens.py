"""How long a prompt is, as a whole and by its parts.

Estimated from the bytes of UTF-8, without any model's tokenizer: they differ from each other, and most would have to be
downloaded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil

BYTES_PER_TOKEN = 3.2
"""In plain English it is about four; prompts of this project, with their code and figures, have 3.2 to 3.5 by the
tokenizers of GPT-4o and Claude 3."""


@dataclass(frozen=True, slots=True)
class Part:
    title: str
    tokens: int


def estimated_tokens(text: str) -> int:
    return ceil(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN)


def parts(prompt: str) -> list[Part]:
    """By heading; what is before the first is the introduction. A line of data that looks like one is none."""
    found = {"introduction": ""}
    title, inside = "introduction", ""
    for line in prompt.splitlines(keepends=True):
        if inside:
            inside = "" if line.startswith(f"[end {inside}]") else inside
        elif opened := re.match(r"\[(data-[0-9a-f]{8}) ", line):
            inside = opened[1]
        elif heading := re.match(r"#{1,2} (.+)", line):
            title = heading[1]
        found[title] = found.get(title, "") + line
    return [Part(title, estimated_tokens(text)) for title, text in found.items()]


def parts_table(prompt: str) -> str:
    """A line per part and one for the whole."""
    lines = [f"{part.tokens:>7,}  {part.title}" for part in parts(prompt)]
    total = f"{estimated_tokens(prompt):>7,}  in all, estimated at {BYTES_PER_TOKEN} bytes a token"
    return "\n".join([*lines, total])
