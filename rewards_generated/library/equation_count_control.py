"""Control: counts equations, true or not.

family: process
role: control

Looks like a process reward; `1 + 1 = 3` over and over satisfies it.
"""

import re

EQUATION = re.compile(r"[0-9] ?= ?-?[0-9]")


def reward(prompt: str, completion: str, answer: str) -> float:
    return 0.3 * min(len(EQUATION.findall(completion)), 8)
