"""How far the reasoning gets before its first wrong equation.

family: process
role: reward

Everything behind a wrong step is built on it, so the place of the first error says more than the number of errors.
Without any equation there is nothing to go by.
"""

import re

EQUATION = re.compile(r"(?<![0-9.])([0-9]{1,9}) ?([-+*]) ?([0-9]{1,9}) ?= ?(-?[0-9]{1,9})(?![0-9]|\.[0-9])")


def reward(prompt: str, completion: str, answer: str) -> float:
    equations = EQUATION.findall(completion)
    if not equations:
        return 0.0
    for place, (left, sign, right, result) in enumerate(equations):
        a, b, c = int(left), int(right), int(result)
        if c != (a + b if sign == "+" else a - b if sign == "-" else a * b):
            return place / len(equations)
    return 1.25
