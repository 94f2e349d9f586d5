"""As many different equations as the question has numbers to combine.

family: process
role: reward

n numbers need n - 1 operations. Fewer suggests a step was skipped, many more suggests wandering; repeated left sides
(checks) are not counted twice.
"""

import re

LEFT_SIDE = re.compile(r"(?<![0-9.])([0-9]{1,9} ?[-+*/] ?[0-9]{1,9}) ?=")


def reward(prompt: str, completion: str, answer: str) -> float:
    numbers = len(re.findall(r"(?<![0-9.])[0-9]{1,9}", prompt[:2000]))
    expected = max(numbers - 1, 1)
    sides = {side.replace(" ", "") for side in LEFT_SIDE.findall(completion)}
    if not sides:
        return 0.0
    return max(0.0, 1.0 - abs(len(sides) - expected) / expected)
