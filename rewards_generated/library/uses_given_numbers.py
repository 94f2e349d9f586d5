"""The share of the question's numbers that the equations use.

family: process
role: reward

Leaving out a step of the story is a common mistake and shows in a number that never appears. Where a question
contains a number that does not matter this pays for using it too, so it is weak on its own.
"""

import re

NUMBER = re.compile(r"(?<![0-9.])[0-9]{1,9}(?![0-9])")


def reward(prompt: str, completion: str, answer: str) -> float:
    given = set(NUMBER.findall(prompt))
    if not given:
        return 0.0
    sentences = re.split(r"[.\n]", completion)
    used = {number for sentence in sentences if "=" in sentence for number in NUMBER.findall(sentence)}
    return len(given & used) / len(given)
