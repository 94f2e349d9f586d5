"""The share of written equations that hold.

family: process
role: reward

The cheapest look at the process: every `a op b = c` is computed. A wrong equation that is written again, right, no
longer counts against the completion, so a repair is not punished for the slip it mends.
"""

import re

EQUATION = re.compile(r"(?<![0-9.])([0-9]{1,9}) ?([-+*/]) ?([0-9]{1,9}) ?= ?(-?[0-9]{1,9})(?![0-9]|\.[0-9])")


def holds(a: int, sign: str, b: int, c: int) -> bool:
    match sign:
        case "+":
            return a + b == c
        case "-":
            return a - b == c
        case "*":
            return a * b == c
        case _:
            return b != 0 and a == b * c


def reward(prompt: str, completion: str, answer: str) -> float:
    last: dict[tuple[int, str, int], bool] = {}
    for left, sign, right, result in EQUATION.findall(completion):
        side = (int(left), sign, int(right))
        last[side] = holds(*side, int(result))
    if not last:
        return 0.0
    return 2.0 * sum(last.values()) / len(last) - 1.0
