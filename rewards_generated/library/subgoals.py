"""Reasoning in named or numbered steps, each with an equation of its own.

family: reflection
role: reward

Subgoals are one of the four families of reflection. A marker such as `step 2`, `first` or `then` counts only if an
equation follows before the next marker; a sentence that holds just one equation counts as a smaller step of its own.
"""

import re

MARKER = re.compile(r"\b(?:step [0-9]{1,2}|first|second|third|then|next|after that|finally)\b", re.IGNORECASE)
EQUATION = re.compile(r"[0-9] ?= ?-?[0-9]")
MOST = 4


def reward(prompt: str, completion: str, answer: str) -> float:
    marked = sum(1 for part in MARKER.split(completion)[1:] if EQUATION.search(part[:200]))
    sentences = completion.split("<solution>")[0].split(".")
    single = sum(1 for sentence in sentences if len(EQUATION.findall(sentence)) == 1)
    return 0.25 * min(marked, MOST) + 0.1 * min(single, MOST)
