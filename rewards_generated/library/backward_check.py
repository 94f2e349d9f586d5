"""A result that is checked by the inverse operation: after a + b = c comes c - b = a.

family: reflection
role: reward

Working backwards from a result is a check that does not repeat the same slip: an addition that is undone by a
subtraction has been looked at twice, by two paths.
"""

import re

EQUATION = re.compile(r"(?<![0-9.])([0-9]{1,9}) ?([-+]) ?([0-9]{1,9}) ?= ?([0-9]{1,9})(?![0-9]|\.[0-9])")


Equation = tuple[int, str, int, int]


def inverses(a: int, sign: str, b: int, c: int) -> set[Equation]:
    if sign == "+":
        return {(c, "-", b, a), (c, "-", a, b)}
    return {(c, "+", b, a), (b, "+", c, a)}


def reward(prompt: str, completion: str, answer: str) -> float:
    due: set[Equation] = set()
    done: set[Equation] = set()
    mentions = 0.1 * bool(re.search(r"\b(?:work(?:ing)? backwards|the goal is|target)\b", completion, re.IGNORECASE))
    for left, sign, right, result in EQUATION.findall(completion):
        equation = (int(left), sign, int(right), int(result))
        a, _, b, c = equation
        holds = a + b == c if sign == "+" else a - b == c
        if equation in due and holds:
            done.add(equation)
        elif holds:
            due |= inverses(*equation)
    straight = 0.05 * min(len(due), 4)
    return float(min(len(done), 2)) * 0.75 + mentions + straight
