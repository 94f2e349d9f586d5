"""The share of equations that are not a repetition of an earlier one.

family: process
role: reward

Repetition is the first sign of a policy that is paid by the piece. The number of equations counts only up to three.
"""

import re
from collections import Counter

EQUATION = re.compile(r"[0-9]{1,9} ?[-+*/] ?[0-9]{1,9} ?= ?-?[0-9]{1,9}")


def reward(prompt: str, completion: str, answer: str) -> float:
    counts = Counter(equation.replace(" ", "") for equation in EQUATION.findall(completion))
    total = sum(counts.values())
    if total == 0:
        return 0.0
    return len(counts) / total * min(len(counts), 3) / 3
