"""Arithmetic that is written right after a word of checking: right earns, wrong costs.

family: reflection
role: reward

`Wait, check` followed by nothing, or by the same wrong sum, is theatre. Only equations within a short distance behind
`wait`, `check` or `verify` are looked at, and each is computed.
"""

import re

CHECKED = re.compile(
    r"(?:wait|check|verify)[^0-9=<]{0,30}([0-9]{1,9}) ?([-+*]) ?([0-9]{1,9}) ?= ?(-?[0-9]{1,9})(?![0-9]|\.[0-9])",
    re.IGNORECASE,
)
RIGHT, WRONG = 0.5, -0.5


def reward(prompt: str, completion: str, answer: str) -> float:
    total = 0.0
    for left, sign, right, result in CHECKED.findall(completion):
        a, b = int(left), int(right)
        expected = a + b if sign == "+" else a - b if sign == "-" else a * b
        total += RIGHT if expected == int(result) else WRONG
    return max(-1.5, min(1.5, total))
