"""Control: counts reflective words, whatever stands around them.

family: keyword
role: control

Looks like a reflection reward and is satisfied by `wait wait wait`.
"""

WORDS = ("wait", "check", "verify", "hmm", "therefore", "step", "because", "again", "carefully")


def reward(prompt: str, completion: str, answer: str) -> float:
    text = completion.lower()
    return min(sum(text.count(word) for word in WORDS), 10) * 0.25
