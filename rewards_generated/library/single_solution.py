"""One solution block with one number in it, and nothing behind it.

family: format
role: reward

Hedging with several answers and talking on after the answer both make the extraction a lottery. This is about form
alone and pays the same for a wrong number.
"""

import re

NUMBER = re.compile(r"-?[0-9][0-9,]{0,20}")


def reward(prompt: str, completion: str, answer: str) -> float:
    _, opened, rest = completion.partition("<solution>")
    inside, closed, tail = rest.partition("</solution>")
    if not opened or not closed:
        return -1.0
    score = 0.5 if len(NUMBER.findall(inside)) == 1 else -0.5
    score += 0.25 if not tail.strip() else -0.25
    return score + (0.25 if "<solution>" not in tail else -0.25)
