"""Reflective phrases, each worth half of the one before.

family: reflection
role: reward

The first `wait` may matter, the tenth does not. A geometric series gives every phrase some value and bounds the sum,
so there is no point in piling them up.
"""

import re

PHRASES = re.compile(
    r"\b(?:wait|hmm|check|verify|let me re|double-check|is that right|mistake|instead)\b", re.IGNORECASE
)
FIRST = 0.8
RATIO = 0.5


def reward(prompt: str, completion: str, answer: str) -> float:
    count = min(len(PHRASES.findall(completion)), 50)
    return FIRST * (1 - RATIO**count) / (1 - RATIO)
