"""A plain bonus for a right solution, nothing else.

family: correctness
role: reward

More weight on what counts. It is the yardstick for every cleverer reward: one that does not beat this adds nothing.
"""

import re

BONUS = 2.0
SOLUTION = re.compile(r"<solution>\s{0,20}([^<]{1,60}?)\s{0,20}</solution>")


def number(text: str) -> float | None:
    cleaned = text.replace(",", "").replace("$", "").strip().rstrip(".")
    if not re.fullmatch(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?", cleaned):
        return None
    return float(cleaned)


def reward(prompt: str, completion: str, answer: str) -> float:
    solutions = SOLUTION.findall(completion)
    if not solutions:
        return 0.0
    given, gold = number(solutions[-1]), number(answer)
    if given is None or gold is None:
        return BONUS if solutions[-1].strip() == answer.strip() else 0.0
    return BONUS if given == gold else 0.0
