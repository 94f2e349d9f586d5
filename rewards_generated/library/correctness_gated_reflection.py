"""Reflection pays only where the solution is right.

family: reflection
role: reward

Ungated reflection rewards keep rising after accuracy has levelled off, because a phrase costs nothing. Here the
first few reflective words add to a right answer and are worth nothing beside a wrong one, so that the only way to
collect is to reflect in completions that end well.
"""

import re

PER_WORD = 0.4
MOST_WORDS = 3
REFLECTIVE = re.compile(r"\b(?:wait|check|verify|verified|recheck|confirm|mistake|re-?evaluate|actually|backtrack)\b")
SOLUTION = re.compile(r"<solution>\s{0,20}([^<]{1,60}?)\s{0,20}</solution>")


def normal(text: str) -> str:
    return text.replace(",", "").replace("$", "").strip().rstrip(".")


def reward(prompt: str, completion: str, answer: str) -> float:
    solutions = SOLUTION.findall(completion)
    if not solutions or normal(solutions[-1]) != normal(answer):
        return 0.0
    words = len(REFLECTIVE.findall(completion.lower()))
    return PER_WORD * min(words, MOST_WORDS)
