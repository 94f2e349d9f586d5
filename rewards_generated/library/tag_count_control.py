"""Control: counts tags.

family: format
role: control

Looks like an approximate format reward, but a tag may be repeated.
"""


def reward(prompt: str, completion: str, answer: str) -> float:
    tags = completion.count("<thinking>") + completion.count("<solution>")
    closed = completion.count("</thinking>") + completion.count("</solution>")
    return 0.25 * min(tags + closed, 10)
