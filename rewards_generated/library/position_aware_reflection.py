"""Reflection in the middle of the reasoning, not at its start and not after the solution.

family: reflection
role: reward

A check can only concern what has been written already, and helps only if something follows. So a phrase counts where
it stands between 15 % and 95 % of the thinking and an equals sign has come before it.
"""

import re

EARLIEST, LATEST = 0.15, 0.95
PHRASE = re.compile(r"\b(?:wait|check|verify|actually|mistake)\b", re.IGNORECASE)


def thinking(completion: str) -> str:
    before_solution = completion.split("<solution>", 1)[0]
    return before_solution.replace("<thinking>", "").replace("</thinking>", "")


def reward(prompt: str, completion: str, answer: str) -> float:
    text = thinking(completion)
    first_equation = text.find("=")
    if first_equation < 0:
        return 0.0
    places = [match.start() / len(text) for match in PHRASE.finditer(text) if match.start() > first_equation]
    well_placed = sum(EARLIEST <= place <= LATEST for place in places)
    return min(well_placed, 3) * 0.4
