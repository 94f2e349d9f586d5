"""Phrases of reflection of four families, each with diminishing returns: the reward of arXiv 2603.14041.

family: reflection
role: reward

Backtracking, verification, subgoals and backward reasoning are counted as whole words over the whole lower-cased
completion, whether the answer is right or not. With n hits in a family and S the sum over the families of
0.5 * (1 + 1/1.4 + 1/1.8 + ... up to n terms), C = 0.8 ln(1 + S) and the reward is 1 - 1/(1 + C^1.2), to 2 decimals.
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


def reward(prompt: str, completion: str, answer: str) -> float:
    text = completion.lower()
    total = 0.0
    for family in FAMILIES:
        hits = len(family.findall(text))
        total += WEIGHT * sum(1 / (1 + place / DECAY) for place in range(hits))
    complexity = math.pow(0.8 * math.log(1 + total), 1.2)
    return round(1 - 1 / (1 + complexity), 2)
