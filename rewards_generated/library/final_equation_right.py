"""The last equation holds and gives the gold answer.

family: process
role: reward

Half of the credit is for arriving at the gold number in the reasoning, half for arriving there by an equation that is
true, so a number pasted behind a wrong sum earns less.
"""

import re
from collections.abc import Callable

EQUATION = re.compile(r"(?<![0-9.])([0-9]{1,9}) ?([-+*/]) ?([0-9]{1,9}) ?= ?(-?[0-9]{1,9})(?![0-9]|\.[0-9])")
OPERATIONS: dict[str, Callable[[int, int], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else -1,
}


def reward(prompt: str, completion: str, answer: str) -> float:
    equations = EQUATION.findall(completion)
    if not equations:
        return 0.0
    left, sign, right, result = equations[-1]
    arrives = str(result) == answer.replace(",", "").strip()
    holds = OPERATIONS[sign](int(left), int(right)) == int(result)
    return 1.0 * arrives + (1.0 if arrives and holds else 0.0)
