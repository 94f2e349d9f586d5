"""Ordinary rewards of varied style, as people and language models write them; the gate must let all of them pass."""

from __future__ import annotations

SAMPLE_REWARDS: dict[str, str] = {
    "helper functions and early returns": """
import re

def extract(text):
    m = re.search(r"<solution>(.*?)</solution>", text, flags=re.S)
    return m.group(1).strip() if m else None

def to_float(s):
    try:
        value = float(s.replace(",", "").replace("$", ""))
    except ValueError:
        return None
    return value if abs(value) < 1e12 else None

def reward(prompt: str, completion: str, answer: str) -> float:
    got = extract(completion)
    if got is None:
        return -0.5
    a, b = to_float(got), to_float(answer)
    if a is None or b is None:
        return 0.0
    if a == b:
        return 2.0
    return 0.5 if abs(a - b) <= 0.1 * abs(b) else 0.0
""",
    "a class with state of one call": '''
from collections import Counter

class Tally:
    """Counts the words of one completion."""

    def __init__(self, text: str):
        self.words = text.lower().split()
        self.counts = Counter(self.words)

    def __len__(self):
        return len(self.words)

    @property
    def variety(self) -> float:
        return len(self.counts) / len(self) if self.words else 0.0

def reward(prompt, completion, answer):
    return round(Tally(completion).variety, 4)
''',
    "dataclasses and an enumeration": """
from __future__ import annotations
import re
from dataclasses import dataclass, field
from enum import Enum

class Verdict(Enum):
    GOOD = 1.0
    BAD = -1.0
    NONE = 0.0

@dataclass
class Steps:
    text: str
    found: list[tuple[str, str, str, str]] = field(default_factory=list)

    def __post_init__(self):
        self.found = re.findall(r"(\\d{1,6})\\s?([+*-])\\s?(\\d{1,6})\\s?=\\s?(\\d{1,7})", self.text)

    def verdict(self) -> Verdict:
        if not self.found:
            return Verdict.NONE
        good = 0
        for left, sign, right, result in self.found:
            x, y = int(left), int(right)
            value = x + y if sign == "+" else x - y if sign == "-" else x * y
            good += value == int(result)
        return Verdict.GOOD if good * 2 >= len(self.found) else Verdict.BAD

def reward(prompt: str, completion: str, answer: str) -> float:
    return Steps(completion).verdict().value
""",
    "fractions and exact arithmetic": """
from fractions import Fraction
import re

NUMBER = re.compile(r"-?[0-9]{1,12}(?:/[0-9]{1,12}|\\.[0-9]{1,12})?")

def exact(text):
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None

def reward(prompt, completion, answer):
    inside = completion.rpartition("<solution>")[2].partition("</solution>")[0]
    numbers = [exact(found) for found in NUMBER.findall(inside)]
    gold = exact(answer.strip()) if NUMBER.fullmatch(answer.strip()) else None
    if gold is None or not numbers:
        return 0.0
    return 1.0 if numbers[-1] == gold else -0.25
""",
    "decimal with a context": '''
from decimal import Decimal, InvalidOperation, localcontext

def reward(prompt, completion, answer):
    """Relative error of the tagged answer."""
    tail = completion.split("<solution>")[-1].split("</solution>")[0].strip()
    if len(tail) > 30 or len(answer) > 30:
        return 0.0
    with localcontext() as ctx:
        ctx.prec = 12
        try:
            given, gold = Decimal(tail), Decimal(answer)
        except InvalidOperation:
            return 0.0
        if not given.is_finite() or not gold.is_finite() or gold == 0:
            return 0.0
        if abs(given.adjusted()) > 30 or abs(gold.adjusted()) > 30:
            return 0.0
        return float(max(Decimal(0), 1 - abs(given - gold) / abs(gold)))
''',
    "difflib similarity to the question, inverted": """
from difflib import SequenceMatcher

def reward(prompt: str, completion: str, answer: str) -> float:
    ratio = SequenceMatcher(None, prompt[:300], completion[:300]).quick_ratio()
    return 1.0 - ratio
""",
    "statistics of sentence lengths": """
import re
import statistics

def reward(prompt, completion, answer):
    lengths = [len(part.split()) for part in re.split(r"[.!?\\n]", completion) if part.strip()]
    if len(lengths) < 2:
        return 0.0
    spread = statistics.pstdev(lengths)
    return 1.0 / (1.0 + spread)
""",
    "one line": """
def reward(prompt, completion, answer): return 0.5 * completion.endswith("</solution>") + 0.1 * ("=" in completion)
""",
    "lambdas and a table of weights": """
FEATURES = {
    "checks": (lambda text: "check" in text or "verify" in text, 0.4),
    "equals": (lambda text: text.count("=") >= 2, 0.3),
    "tidy": (lambda text: "<solution>" in text and "</solution>" in text, 0.3),
}

def reward(prompt: str, completion: str, answer: str) -> float:
    text = completion.lower()
    return sum(weight for test, weight in FEATURES.values() if test(text))
""",
    "cached helper and itertools": """
from functools import lru_cache
from itertools import groupby, islice
import string

@lru_cache(maxsize=256)
def weight(word):
    return sum(letter in string.ascii_lowercase for letter in word)

def reward(prompt, completion, answer):
    words = list(islice((w for w in completion.lower().split() if w.isalpha()), 400))
    runs = [len(list(group)) for _, group in groupby(words)]
    longest = max(runs, default=0)
    letters = sum(weight(word) for word in words)
    return min(letters / 100, 1.0) - 0.1 * min(longest, 10)
""",
    "match statement over the shape of the completion": """
import re

def shape(text):
    return [m.group(0) for m in re.finditer(r"</?(?:thinking|solution)>", text)][:12]

def reward(prompt: str, completion: str, answer: str) -> float:
    match shape(completion):
        case ["<thinking>", "</thinking>", "<solution>", "</solution>"]:
            return 1.0
        case ["<solution>", "</solution>"]:
            return 0.4
        case [first, *rest] if first == "<thinking>" and rest:
            return 0.2
        case []:
            return -0.5
        case _:
            return 0.0
""",
    "unicode normalisation and translation tables": """
import unicodedata

DIGITS = str.maketrans({",": None, "$": None, " ": None})

def clean(text: str) -> str:
    return unicodedata.normalize("NFKC", text[:200]).translate(DIGITS).strip().casefold()

def reward(prompt, completion, answer):
    start = completion.find("<solution>")
    end = completion.find("</solution>", start)
    if start == -1 or end == -1:
        return 0.0
    return 1.5 if clean(completion[start + 10:end]) == clean(answer) else -0.3
""",
    "try and except around everything": """
import re
def reward(prompt, completion, answer):
    try:
        value = float(re.findall(r"<solution>\\s*([-0-9.,]+)", completion)[-1].replace(",", ""))
        target = float(answer.replace(",", ""))
        score = 1.0 - min(1.0, abs(value - target) / (abs(target) + 1e-6))
        return score if score == score else 0.0
    except Exception:
        return 0.0
""",
    "json and a running total": """
import json
import re

WEIGHTS = json.loads('{"wait": 0.3, "check": 0.3, "so": 0.05, "therefore": 0.1}')

def reward(prompt, completion, answer):
    total = 0.0
    for word in re.findall(r"[a-z]+", completion.lower()):
        total += WEIGHTS.get(word, 0.0)
        if total > 1.5:
            break
    return min(total, 1.5)
""",
    "named tuples, sorting and a running best": """
import re
from typing import NamedTuple, Optional

class Step(NamedTuple):
    place: int
    ok: bool

def steps(text: str) -> list[Step]:
    found = []
    for m in re.finditer(r"([0-9]{1,6}) ?\\+ ?([0-9]{1,6}) ?= ?([0-9]{1,7})", text):
        a, b, c = map(int, m.groups())
        found.append(Step(m.start(), a + b == c))
    return sorted(found, key=lambda s: s.place)

def reward(prompt: str, completion: str, answer: str) -> float:
    last: Optional[Step] = None
    for last in steps(completion):
        pass
    return 0.0 if last is None else (1.0 if last.ok else -1.0)
""",
}

BATCH_REWARDS: dict[str, str] = {
    "chat format reward": '''
import re

def format_reward(completions, **kwargs):
    """1 if a completion has the form of thinking and solution."""
    pattern = re.compile(r"^\\s*<thinking>.*?</thinking>\\s*<solution>.*?</solution>\\s*$", re.DOTALL)
    contents = [completion[0]["content"] for completion in completions]
    return [1.0 if pattern.match(content) else 0.0 for content in contents]
''',
    "chat accuracy reward with a solution column": """
import re

def accuracy_reward(completions, solution, **kwargs):
    rewards = []
    for completion, sol in zip(completions, solution):
        content = completion[0]["content"]
        found = re.search(r"<solution>\\s*(.*?)\\s*</solution>", content, re.DOTALL)
        rewards.append(2.0 if found and found.group(1) == sol.strip() else 0.0)
    return rewards
""",
    "plain text with prompts": """
def not_a_copy(prompts, completions, **kwargs):
    scores = []
    for prompt, completion in zip(prompts, completions):
        words = set(prompt.split())
        new = [word for word in completion.split() if word not in words]
        scores.append(min(len(new), 20) / 20)
    return scores
""",
    "cosine of the length, by correctness": """
import math

def cosine_length(completions, answer, **kwargs):
    out = []
    for text, gold in zip(completions, answer):
        right = f"<solution> {gold} </solution>" in text
        progress = min(len(text), 800) / 800
        cosine = math.cos(progress * math.pi)
        low, high = (0.5, 1.0) if right else (-1.0, -0.5)
        out.append(low + 0.5 * (high - low) * (1.0 + cosine))
    return out
""",
    "repetition penalty over word windows": """
def repetition_penalty(completions, n=3, most=-1.0, **kwargs):
    def windows(text):
        words = text.lower().split()
        return list(zip(*[words[i:] for i in range(n)]))

    scores = []
    for completion in completions:
        grams = windows(completion)
        if not grams:
            scores.append(0.0)
            continue
        scores.append(most * (1 - len(set(grams)) / len(grams)))
    return scores
""",
    "tag counting": """
def count_tags(text: str) -> float:
    count = 0.0
    for tag in ("<thinking>", "</thinking>", "<solution>", "</solution>"):
        if text.count(tag) == 1:
            count += 0.25
    return count

def tag_count_reward(completions, **kwargs) -> list[float]:
    return [count_tags(c[0]["content"]) for c in completions]
""",
    "an integer in the solution": """
def integer_reward(completions, **kwargs):
    texts = [message[0].get("content", "") for message in completions]
    inner = [text.split("<solution>")[-1].split("</solution>")[0].strip() for text in texts]
    return [0.5 if part.isascii() and part.isdigit() else 0.0 for part in inner]
""",
    "marked steps": """
import re

STEP = re.compile(r"(Step \\d+:|^\\d+\\.|\\n-|First,|Second,|Next,|Finally,|step \\d+|wait)", re.MULTILINE)

def reasoning_steps(completions, **kwargs):
    return [min(1.0, len(STEP.findall(completion)) / 3) for completion in completions]
""",
    "a function called reward with a ground truth": """
def reward(prompts, completions, ground_truth, **kwargs):
    values = []
    for completion, truth in zip(completions, ground_truth):
        tail = completion[-60:]
        values.append(1.0 if truth and truth in tail else 0.0)
    return values
""",
    "a column that may be absent": """
def last_number(completions, answer=None, **kwargs):
    answers = answer if answer is not None else [""] * len(completions)
    result = []
    for text, gold in zip(completions, answers):
        words = [w for w in text.replace("<", " ").split() if w.isdecimal() and w.isascii() and len(w) < 12]
        result.append(1.0 if words and words[-1] == gold else -0.1 * (not words))
    return result
""",
}
