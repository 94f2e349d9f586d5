"""Reflective words per equation, best at about one in two, worse above and below.

family: reflection
role: reward

Too little reflection misses slips, too much is noise. A smooth peak rewards the proportion rather than the amount, so
it cannot be raised by length.
"""

import math
import re

IDEAL = 0.5
WIDTH = 0.35
WORD = re.compile(r"\b(?:wait|check|verify|confirm|mistake)\b", re.IGNORECASE)


def reward(prompt: str, completion: str, answer: str) -> float:
    equations = completion.count("=")
    words = len(WORD.findall(completion))
    if equations == 0 or words == 0:
        return 0.0
    density = min(words / equations, 10.0)
    return math.exp(-(((density - IDEAL) / WIDTH) ** 2) / 2)
