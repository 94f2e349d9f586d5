"""One point if the whole completion is one thinking block, then one solution block: the format reward of
arXiv 2603.14041, in this project's tags.
"""

import re

TAGS = ("<thinking>", "</thinking>", "<solution>", "</solution>")
WHOLE = re.compile(r"\s*<thinking>.*</thinking>\s*<solution>.*</solution>\s*", re.DOTALL)


def reward(prompt: str, completion: str, answer: str) -> float:
    return 1.0 if all(completion.count(tag) == 1 for tag in TAGS) and WHOLE.fullmatch(completion) else 0.0
