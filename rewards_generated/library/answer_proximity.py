"""How near the solution is to the gold number, smoothly.

family: correctness
role: reward

The steps of the base answer check end at 20 %. A smooth decay tells a slip in the last digit from nonsense and so
gives a gradient where no completion of a group is right.
"""

import math
import re

SOLUTION = re.compile(r"<solution>\s{0,20}\$?(-?[0-9][0-9,]{0,14}(?:\.[0-9]{1,9})?)\s{0,20}</solution>")
STEEPNESS = 4.0


def reward(prompt: str, completion: str, answer: str) -> float:
    found = SOLUTION.findall(completion)
    gold = re.fullmatch(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?", answer.replace(",", "").strip())
    if not found or gold is None:
        return 0.0
    target = float(gold[0])
    error = abs(float(found[-1].replace(",", "")) - target) / max(abs(target), 1.0)
    return 2.0 * math.exp(-STEEPNESS * error)
