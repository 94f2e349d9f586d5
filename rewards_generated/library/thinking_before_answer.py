"""Reasoning that is there: a thinking block with some arithmetic before the solution.

family: format
role: reward

The format rewards accept an empty thinking block. This asks for at least one equation in it and that the block is
closed before the solution opens.
"""


def reward(prompt: str, completion: str, answer: str) -> float:
    start = completion.find("<thinking>")
    end = completion.find("</thinking>")
    solution = completion.find("<solution>")
    if not 0 <= start < end:
        return 0.0
    reasoning = completion[start + len("<thinking>") : end]
    score = 0.25
    if "=" in reasoning:
        score += 0.5
    if solution > end:
        score += 0.25
    return score
