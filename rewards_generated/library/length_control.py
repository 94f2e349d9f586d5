"""Control: the longer the better.

family: length
role: control

Looks plausible (more reasoning, better answers) and rewards padding. A search that ranks it high is measuring
something else than reasoning.
"""


def reward(prompt: str, completion: str, answer: str) -> float:
    return min(len(completion.split()), 120) / 60
