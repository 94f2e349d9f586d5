"""The letter of a choice, as people and models write it: `B`, `(b)`, `**B.**`, `B) mitochondria`, `Option B`."""

from __future__ import annotations

import re

from rewards_generated.answers.number import clean_answer

_CHOSEN = re.compile(r"(?:(?i:option|choice|answer)\s*:?\s*)?[(\[]?\s*([A-Za-z])\s*(?:[)\].:,](?:\s|$)|$)")
_TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|textbf|mathbf)\s*\{([^{}]*)\}")
_LETTER_WITHIN = re.compile(r"(?<![A-Za-z0-9'’])[(\[*]*([A-Z])(?:[)\].:,*]|\s*$)")


def letter_of(text: str) -> str | None:
    """The capital letter that an answer states; None where it begins with anything else (never raises)."""
    if len(text) > 1_000:
        return None
    found = _CHOSEN.match(clean_answer(_TEXT_COMMAND.sub(r"\1", clean_answer(text))).strip().replace("**", ""))
    return None if found is None else found[1].upper()


def first_letter(line: str) -> str | None:
    """The letter that a line states, or the first one that stands alone in it: of `probably (C), because ...`."""
    if (letter := letter_of(line)) is not None:
        return letter
    found = _LETTER_WITHIN.search(line[:1_000])
    return None if found is None else found[1]
