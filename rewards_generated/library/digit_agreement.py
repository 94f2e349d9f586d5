"""The share of the gold answer's digits that the solution has in their place.

family: correctness
role: reward

A forgotten carry changes one digit and leaves the others. Comparing from the last digit on gives such a slip most of
the credit that an unrelated number does not get.
"""

import re
from itertools import zip_longest

SOLUTION = re.compile(r"<solution>\s{0,20}(-?[0-9,]{1,20})\s{0,20}</solution>")


def reward(prompt: str, completion: str, answer: str) -> float:
    found = SOLUTION.findall(completion)
    gold = answer.replace(",", "").strip()[:40]
    if not found or not re.fullmatch(r"-?[0-9]{1,40}", gold):
        return 0.0
    given = found[-1].replace(",", "")
    pairs = list(zip_longest(reversed(given), reversed(gold)))
    share = sum(a == b for a, b in pairs) / len(pairs)
    return 2.0 if share == 1 else share
