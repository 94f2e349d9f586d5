"""A penalty for `wait` and `check` with no arithmetic behind them.

family: reflection
role: reward

A policy that is paid for reflection learns the words first. This takes half a point for every reflective phrase that is
not followed by an equation before the sentence after next, and pays a little for those that are.
"""

import re

PHRASE = re.compile(r"\b(?:wait|hmm|check|verify)\b[ ,]{0,3}", re.IGNORECASE)
WINDOW = 40


def reward(prompt: str, completion: str, answer: str) -> float:
    total = 0.0
    end = -1
    for match in PHRASE.finditer(completion):
        if match.start() <= end:
            continue
        follows = completion[match.end() : match.end() + WINDOW]
        total += 0.3 if "=" in follows else -0.5
        end = match.end() + 12
    return max(-2.0, min(0.9, total))
