"""Whether two answers have the same value."""

from __future__ import annotations

import re

from eval.answers.extraction import LONGEST_ANSWER, AnswerKind
from eval.answers.number import clean_answer, equal_numbers, parse_number

_WORDS = re.compile(r"[A-Za-z]{3,}(?:[\s,.'-]+[A-Za-z]+)*|[A-Za-z]+(?:[\s,.'-]+[A-Za-z]+)+|[A-Z]")


def equal_answers(extracted: str, gold: str, kind: AnswerKind = "number") -> bool:
    """Equality by value: numbers exactly (decimals to six places), mathematics through math-verify, text by its
    letters.

    Never raises; takes at most the time limit of `eval.answers.symbolic`; an answer that cannot be understood in
    that time is not equal. Words are compared as words: as mathematics they would be products of letters, and
    every anagram equal.
    """
    first, second = _plain_text(extracted), _plain_text(gold)
    if first == second:
        return bool(first)
    if kind == "text" or not first or not second:
        return False
    if max(len(first), len(second)) > LONGEST_ANSWER:
        return False
    units = kind == "number"
    number, other = parse_number(extracted, units), parse_number(gold, units)
    if number is not None and other is not None:
        return equal_numbers(number, other)
    first, second = clean_answer(extracted, words=units), clean_answer(gold, words=units)
    if _WORDS.fullmatch(first) or _WORDS.fullmatch(second):
        return False
    if kind == "number" and not any(character.isdigit() for character in first):
        return False
    from eval.answers.symbolic import symbolically_equal

    return symbolically_equal(first, second)


def _plain_text(text: str) -> str:
    return " ".join(clean_answer(text).casefold().split()).rstrip(".")
