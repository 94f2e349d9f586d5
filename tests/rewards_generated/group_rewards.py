"""Rewards that see all completions of a prompt, for tests."""

from __future__ import annotations

SHORTER = '''
"""Pays for being shorter than the longest of the group."""

def reward(prompt: str, group: list[str], answer: str) -> list[float]:
    longest = max(len(text) for text in group)
    return [1.0 - len(text) / longest if longest else 0.0 for text in group]
'''

VARIETY = '''
"""Pays a right answer for words that the others of its group do not use."""

def reward(prompt: str, group: list[str], answer: str) -> list[float]:
    bags = [set(text.split()) for text in group]
    values = []
    for place, text in enumerate(group):
        others = [bag for other, bag in enumerate(bags) if other != place]
        shared = [len(bags[place] & bag) / max(1, len(bags[place] | bag)) for bag in others]
        right = f"<solution> {answer} </solution>" in text
        values.append(1.0 - sum(shared) / len(shared) if right and shared else 0.0)
    return values
'''

AGREEMENT = '''
"""Pays for the answer that most of the group give, right or wrong."""
import re
from collections import Counter

def reward(prompt: str, group: list[str], answer: str) -> list[float]:
    found = [(re.findall(r"<solution>([^<]{1,40})</solution>", text) or [""])[-1].strip() for text in group]
    counts = Counter(found)
    return [SCALE * counts[item] / len(group) if item else 0.0 for item in found]

SCALE = 1.0
'''

STEPS = '''
"""Pays right answers for results of the worked solution, beside the one of the group that has most of them."""
import re

def reward(prompt: str, group: list[str], answer: str, worked_solution: str | None) -> list[float]:
    steps = set(re.findall(r"= ([0-9]{1,9})", worked_solution or ""))
    right = [f"<solution> {answer} </solution>" in text for text in group]
    found = [(1 + sum(f"= {step}" in text for step in steps)) * pays for text, pays in zip(group, right)]
    return [value / max(1, *found) for value in found]
'''
