"""A right solution, worth more the larger the share of sound steps behind it.

family: process
role: reward

Right answers by wrong reasoning do not generalise. The product of both keeps the answer necessary and makes the
reasoning matter. A left side that is written again counts as it was written last, so a repair is no flaw.
"""

import re
from dataclasses import dataclass

PATTERN = re.compile(r"(?<![0-9.])([0-9]{1,9}) ?([-+*]) ?([0-9]{1,9}) ?= ?(-?[0-9]{1,9})(?![0-9]|\.[0-9])")
SOLUTION = re.compile(r"<solution>\s{0,20}(-?[0-9,]{1,20})\s{0,20}</solution>")


@dataclass(frozen=True)
class Equation:
    left: int
    sign: str
    right: int
    result: int

    @property
    def sound(self) -> bool:
        if self.sign == "+":
            return self.left + self.right == self.result
        if self.sign == "-":
            return self.left - self.right == self.result
        return self.left * self.right == self.result


def equations(text: str) -> list[Equation]:
    return [Equation(int(a), sign, int(b), int(c)) for a, sign, b, c in PATTERN.findall(text)]


def reward(prompt: str, completion: str, answer: str) -> float:
    solutions = SOLUTION.findall(completion)
    if not solutions or solutions[-1].replace(",", "") != answer.replace(",", "").strip():
        return 0.0
    last = {(equation.left, equation.sign, equation.right): equation.sound for equation in equations(completion)}
    if not last:
        return 0.5
    return 0.5 + 1.5 * sum(last.values()) / len(last)
