"""Control: the shorter the better, right or wrong.

family: length
role: control

Looks like brevity; without the gate on correctness it pays most for saying nothing.
"""


def reward(prompt: str, completion: str, answer: str) -> float:
    words = len(completion.split())
    return 2.0 / (1.0 + words / 10.0)
