"""Control: the tags, once each and in order, with anything in them.

family: format
role: control

It repeats what the base rewards pay already and drowns the answer check with it.
"""

ORDER = ("<thinking>", "</thinking>", "<solution>", "</solution>")


def reward(prompt: str, completion: str, answer: str) -> float:
    places = [completion.find(tag) for tag in ORDER]
    once = all(completion.count(tag) == 1 for tag in ORDER)
    return 2.5 if once and places == sorted(places) else -0.5
