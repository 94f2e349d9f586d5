"""A repaired equation in a completion whose solution is right.

family: reflection
role: reward

The ungated repair reward can be had by slipping on purpose. Asking for the right solution too makes a slip a risk, and
an unrepaired slip costs a little.
"""

import re

EQUATION = re.compile(r"(?<![0-9.])([0-9]{1,9}) ?([-+*]) ?([0-9]{1,9}) ?= ?(-?[0-9]{1,9})(?![0-9]|\.[0-9])")
SOLUTION = re.compile(r"<solution>\s{0,20}(-?[0-9,]{1,20})\s{0,20}</solution>")


def compute(left: int, sign: str, right: int) -> int:
    return {"+": left + right, "-": left - right, "*": left * right}[sign]


def reward(prompt: str, completion: str, answer: str) -> float:
    last_holds: dict[tuple[int, str, int], bool] = {}
    repairs = 0
    for left, sign, right, result in EQUATION.findall(completion):
        side = (int(left), sign, int(right))
        right_now = compute(*side) == int(result)
        if right_now and last_holds.get(side) is False:
            repairs += 1
        last_holds[side] = right_now
    solutions = SOLUTION.findall(completion)
    if not solutions or solutions[-1].replace(",", "") != answer.replace(",", "").strip():
        return -0.25 if False in last_holds.values() else 0.0
    return min(repairs, 2) * 0.75
