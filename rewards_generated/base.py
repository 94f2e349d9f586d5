"""The three rewards that accompany every candidate: exact format, approximate format, answer check.

They are this project's own, so they run in the caller's process and are known by their names alone. The figures are
those of arXiv 2605.02073 (base rewards): exact format +3; approximate format +0.5 or -0.5 per tag (the paper leaves
0.5 to 1 open; the symmetric half point is our choice, so that four right tags are worth less than one right
answer); answer check +3 for an equal number, +1 within 10 %, +0.5 within 20 %, -1.5 for a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

TAGS = ("<thinking>", "</thinking>", "<solution>", "</solution>")

_WHOLE = re.compile(r"\s*<thinking>.*</thinking>\s*<solution>.*</solution>\s*", re.DOTALL)
_NUMBER = re.compile(r"([+-]?)\s*\$?\s*([+-]?)(\d{1,3}(?:,\d{3})+|\d{1,40})?(\.\d{1,40})?\s*%?\s*\.?")
_FRACTION = re.compile(r"([+-]?\d{1,40})\s*/\s*(\d{1,40})")


def format_exact(prompt: str, completion: str, answer: str) -> float:
    """+3 if the whole completion is one thinking block, then one solution block, with white space between; else 0."""
    well_formed = all(completion.count(tag) == 1 for tag in TAGS) and _WHOLE.fullmatch(completion) is not None
    return 3.0 if well_formed else 0.0


def format_approximate(prompt: str, completion: str, answer: str) -> float:
    """For each of the four tags +0.5 if it appears exactly once, else -0.5: from -2 to +2."""
    return sum(0.5 if completion.count(tag) == 1 else -0.5 for tag in TAGS)


def answer_check(prompt: str, completion: str, answer: str) -> float:
    """How near the text of the last complete solution block is to the gold answer.

    +3 equal (as text, or as a number: commas, `$`, `%`, a closing point and simple fractions are understood),
    +1 within 10 % of the gold number, +0.5 within 20 %, -1.5 anything else, 0 if there is no solution block or an
    empty one.
    """
    given = solution_text(completion)
    if not given:
        return 0.0
    gold = answer.strip()
    if given == gold:
        return 3.0
    given_number, gold_number = parse_number(given), parse_number(gold)
    if given_number is None or gold_number is None:
        return -1.5
    if given_number == gold_number:
        return 3.0
    error = abs(given_number - gold_number)
    if error <= abs(gold_number) / 10:
        return 1.0
    if error <= abs(gold_number) / 5:
        return 0.5
    return -1.5


def solution_text(completion: str) -> str | None:
    """The text of the last complete `<solution>` block, stripped; None if there is none."""
    end = completion.rfind("</solution>")
    start = completion.rfind("<solution>", 0, max(end, 0))
    if end < 0 or start < 0:
        return None
    return completion[start + len("<solution>") : end].strip()


def parse_number(text: str) -> Decimal | None:
    """The number that the whole text is, such as `1,234`, `$5.50`, `-3`, `12 %` or `3/4`; None if it is not one."""
    text = text.strip()
    if len(text) > 100 or not text.isascii():
        return None
    if fraction := _FRACTION.fullmatch(text):
        denominator = Decimal(fraction[2])
        return Decimal(fraction[1]) / denominator if denominator else None
    number = _NUMBER.fullmatch(text)
    if number is None or not (number[3] or number[4]) or (number[1] and number[2]):
        return None
    return Decimal(number[1] + number[2] + (number[3] or "0").replace(",", "") + (number[4] or ""))


BASE_REWARDS: dict[str, Callable[[str, str, str], float]] = {
    "format_exact": format_exact,
    "format_approximate": format_approximate,
    "answer_check": answer_check,
}
"""By the name under which an ensemble lists them, in the order in which the paper does."""
