"""The reflection reward of arXiv 2603.14041, paid only beside a right answer.

The same phrases, weights and decay as the library's `four_family_reflection`, so that a comparison of the two differs
in the gate alone: a completion without the right answer in its solution tags scores 0.
"""

import math
import re

WEIGHT = 0.5
DECAY = 2.5
FAMILIES = (
    re.compile(
        r"\b(?:backtrack|error|fix|mistake)\b|\bre-?evaluat(?:e|ion)\b|\b(?:flawed|incorrect)\s{1,9}(?:approach|step)\b"
    ),
    re.compile(
        r"\b(?:verify|check|confirm|test)\b|\b(?:cross|re)-?validat(?:e|ion)\b"
        r"|\b(?:unit|dimension)\s{1,9}analysis\b|\b(?:edge[\s-]case|boundary)\s{1,9}check\b"
    ),
    re.compile(
        r"\b(?:step|stage|phase|subtask)\b|\bdecompose\s{1,9}(?:in)?to\s{1,9}\d{1,9}\b"
        r"|\b(?:milestone|checkpoint)\s{1,9}\d{1,9}\b|\btrack\s{1,9}progress\s{1,9}(?:at|on)\b"
    ),
    re.compile(
        r"\b(?:target|goal|required)\b|\bwork(?:ing)?\s{1,9}backwards\b"
        r"|\breverse\s{1,9}(?:engineer|logic)\b|\bdeduce\s{1,9}from\s{1,9}the\s{1,9}(?:final|outcome)\b"
    ),
)
SOLUTION = re.compile(r"<solution>\s{0,20}([^<]{1,200}?)\s{0,20}</solution>")


def reflection(completion: str) -> float:
    text = completion.lower()
    total = 0.0
    for family in FAMILIES:
        hits = len(family.findall(text))
        total += WEIGHT * sum(1 / (1 + place / DECAY) for place in range(hits))
    complexity = math.pow(0.8 * math.log(1 + total), 1.2)
    return round(1 - 1 / (1 + complexity), 2)


def normal(text: str) -> str:
    cleaned = text.replace(",", "").replace("$", "").strip().rstrip(".")
    return str(float(cleaned)) if re.fullmatch(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,15})?", cleaned) else text.strip()


def reward(prompt: str, completion: str, answer: str) -> float:
    solutions = SOLUTION.findall(completion)
    right = bool(solutions) and normal(solutions[-1]) == normal(answer)
    return reflection(completion) if right else 0.0
