"""How much of a completion repeats itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence

OFTEN = 3
"""So many times is a repetition: a step that is written down and then checked stands there twice."""

_TOKEN = re.compile(r"\w+|[^\w\s]")
_WORD = re.compile(r"[^\W\d_]+")
_TAG_OR_NUMBER = re.compile(r"<[^<>]*>|\d+")
_OPENING_TAG = re.compile(r"<([A-Za-z][\w-]*)(?:[^\w<>-][^<>]*)?>")


def repeated_share(text: str, length: int = 5) -> float:
    """Share of the tokens (words, numbers, signs) within sequences of `length` that occur at least three times."""
    tokens = _TOKEN.findall(text.lower())
    return _covered([tokens], length)


def phrase_share(text: str, length: int = 3) -> float:
    """Share of the words within phrases of `length` that occur at least three times, tags left out.

    A number ends a phrase: `check 2 + 3` and `check 5 + 1` are work, and `wait, check again` three times over is not.
    """
    passages = [_WORD.findall(passage) for passage in _TAG_OR_NUMBER.split(text.lower())]
    return _covered(passages, length)


def spams_tags(text: str) -> bool:
    """Whether the same opening tag stands there at least three times."""
    return max(Counter(_OPENING_TAG.findall(text)).values(), default=0) >= OFTEN


def _covered(passages: Sequence[Sequence[Hashable]], length: int) -> float:
    total = sum(len(passage) for passage in passages)
    if total == 0:
        return 0.0
    counts = Counter(tuple(passage[k : k + length]) for passage in passages for k in range(len(passage) - length + 1))
    covered = 0
    for passage in passages:
        reached = 0
        for k in range(len(passage) - length + 1):
            if counts[tuple(passage[k : k + length])] >= OFTEN:
                covered += k + length - max(reached, k)
                reached = k + length
    return covered / total
