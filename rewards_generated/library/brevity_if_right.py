"""Among right answers, the shorter the better.

family: correctness
role: reward

Length is free for a policy and costly for its users. Only right answers are compared, so that saying less never pays
for a wrong one.
"""

HALF = 40


def solution(completion: str) -> str:
    _, opened, rest = completion.rpartition("<solution>")
    inside, closed, _ = rest.partition("</solution>")
    return inside.strip() if opened and closed else ""


def reward(prompt: str, completion: str, answer: str) -> float:
    given = solution(completion).replace(",", "")
    if not given or given != answer.strip().replace(",", ""):
        return 0.0
    words = len(completion.split())
    return 1.0 + 1.0 / (1.0 + words / HALF)
