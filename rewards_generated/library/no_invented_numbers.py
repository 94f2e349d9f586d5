"""Operands come from the question or from earlier results.

family: process
role: reward

A number that nobody mentioned is a sign of confusion. Small constants that word problems imply (2 for double, 7 for a
week, 100 for per cent) are allowed.
"""

import re
from collections.abc import Iterator

IMPLIED = {"1", "2", "3", "4", "7", "10", "12", "24", "30", "52", "60", "100", "365", "1000"}
EQUATION = re.compile(r"(?<![0-9.])([0-9]{1,9}) ?[-+*/] ?([0-9]{1,9}) ?= ?(-?[0-9]{1,9})(?![0-9]|\.[0-9])")


def operands_known(prompt: str, completion: str) -> Iterator[bool]:
    known = set(re.findall(r"[0-9]{1,9}", prompt)) | IMPLIED
    for left, right, result in EQUATION.findall(completion):
        yield left in known and right in known
        known.add(result)


def reward(prompt: str, completion: str, answer: str) -> float:
    known = list(operands_known(prompt, completion))
    return sum(known) / len(known) if known else 0.0
