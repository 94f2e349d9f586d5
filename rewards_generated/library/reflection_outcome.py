"""What a check changed: wrong to right earns, right to wrong costs, confirming a right result earns a little.

family: reflection
role: reward

The words around a check do not count, only whether the equation behind it is better than the one before it with the
same left side.
"""

import re
from itertools import pairwise

EQUATION = re.compile(r"(?<![0-9.])([0-9]{1,9}) ?([-+*]) ?([0-9]{1,9}) ?= ?(-?[0-9]{1,9})(?![0-9]|\.[0-9])")
VALUE = {(False, True): 1.0, (True, False): -1.0, (True, True): 0.2, (False, False): -0.4}


def reward(prompt: str, completion: str, answer: str) -> float:
    written = []
    for left, sign, right, result in EQUATION.findall(completion):
        a, b = int(left), int(right)
        computed = {"+": a + b, "-": a - b, "*": a * b}[sign]
        written.append(((a, sign, b), computed == int(result)))
    changes = [(before[1], after[1]) for before, after in pairwise(written) if before[0] == after[0]]
    return max(-2.0, min(2.0, sum(VALUE[change] for change in changes)))
