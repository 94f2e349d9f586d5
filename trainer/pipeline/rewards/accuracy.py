"""One point for the right answer in the solution tags, nothing else: the accuracy reward of arXiv 2603.14041.

Numbers are compared by value (commas, `$` and a closing point are understood), everything else as text.
"""

import re

SOLUTION = re.compile(r"<solution>\s{0,20}([^<]{1,200}?)\s{0,20}</solution>")


def normal(text: str) -> str:
    cleaned = text.replace(",", "").replace("$", "").strip().rstrip(".")
    return str(float(cleaned)) if re.fullmatch(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,15})?", cleaned) else text.strip()


def reward(prompt: str, completion: str, answer: str) -> float:
    solutions = SOLUTION.findall(completion)
    return 1.0 if solutions and normal(solutions[-1]) == normal(answer) else 0.0
