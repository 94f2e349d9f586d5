"""A wrong equation that is followed by its right version.

family: reflection
role: reward

A repair is the behaviour that reflection is for: `17 + 25 = 32. Wait, check 17 + 25 = 42.` The same left side must be
written twice, first with a wrong result, then with the right one. Each left side counts once, so writing more slips
in order to mend them is bounded.
"""

import re

EQUATION = re.compile(r"(?<![0-9.])([0-9]{1,9}) ?([-+*/]) ?([0-9]{1,9}) ?= ?(-?[0-9]{1,9})(?![0-9]|\.[0-9])")
PER_REPAIR = 1.0
MOST_REPAIRS = 2


def holds(left: int, sign: str, right: int, result: int) -> bool:
    if sign == "+":
        return left + right == result
    if sign == "-":
        return left - right == result
    if sign == "*":
        return left * right == result
    return right != 0 and left == result * right


def reward(prompt: str, completion: str, answer: str) -> float:
    broken = set()
    repaired = set()
    for left, sign, right, result in EQUATION.findall(completion):
        side = (int(left), sign, int(right))
        if not holds(*side, int(result)):
            broken.add(side)
        elif side in broken:
            repaired.add(side)
    return PER_REPAIR * min(len(repaired), MOST_REPAIRS)
