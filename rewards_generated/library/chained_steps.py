"""Each equation starts from a result that stands before it.

family: process
role: reward

A solution of several steps is a chain: what one step yields the next one uses. The share of equations (from the second
on) with an operand among the earlier results measures that, whatever the story is about.
"""

import re

EQUATION = re.compile(r"(?<![0-9.])([0-9]{1,9}) ?[-+*/] ?([0-9]{1,9}) ?= ?(-?[0-9]{1,9})(?![0-9]|\.[0-9])")


def reward(prompt: str, completion: str, answer: str) -> float:
    results: set[str] = set()
    linked = 0
    equations = EQUATION.findall(completion)[:40]
    for place, (left, right, result) in enumerate(equations):
        if place and (left in results or right in results):
            linked += 1
        results.add(result)
    return linked / (len(equations) - 1) if len(equations) > 1 else 0.0
