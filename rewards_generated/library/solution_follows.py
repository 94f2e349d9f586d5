"""The solution is what the last equation says.

family: process
role: reward

A policy can learn to reason and then to answer something else. Consistency ties the answer to the reasoning, so that
reward for the answer reaches the steps. It does not look at the gold answer.
"""

import re

RESULT = re.compile(r"= ?(-?[0-9]{1,9})(?![0-9]|\.[0-9])")
SOLUTION = re.compile(r"<solution>\s{0,20}(-?[0-9,]{1,20})\s{0,20}</solution>")


def reward(prompt: str, completion: str, answer: str) -> float:
    thinking, found, _ = completion.partition("<solution>")
    results = RESULT.findall(thinking)
    solutions = SOLUTION.findall(completion)
    if not found or not results or not solutions:
        return -0.5
    return 1.0 if solutions[-1].replace(",", "") == results[-1] else -1.0
