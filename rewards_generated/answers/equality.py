"""Whether two answers have the same value."""

from __future__ import annotations

import re

from rewards_generated.answers.choice import letter_of
from rewards_generated.answers.expression import solves
from rewards_generated.answers.extraction import LONGEST_ANSWER, AnswerKind
from rewards_generated.answers.number import clean_answer, equal_numbers, number_of, parse_number

_WORDS = re.compile(r"\(?(?:[A-Za-z]{3,}(?:[\s,.'’-]+[A-Za-z]+)*|[A-Za-z]+(?:[\s,.'’-]+[A-Za-z]+)+|[A-Z])\)?")
_SENTENCE = re.compile(r"^[^\\]*\b[A-Za-z]{3,}\s[^\\]*\b[A-Za-z]{3,}\b[^\\]*$")
_COMMANDS = re.compile(r"\\[A-Za-z]+")


def equal_answers(extracted: str, gold: str, kind: AnswerKind = "number") -> bool:
    """Equality by value: numbers exactly (decimals to six places), mathematics through math-verify, text by its
    letters, choices by their letter; an expression that solves what the gold one solves; a program that passes the
    gold's tests.

    Never raises, but for programs where there is no sandbox; takes at most the time limit of
    `rewards_generated.answers.symbolic`; an answer that cannot be
    understood in that time is not equal. Words are compared as words: as mathematics they would be products of
    letters, and every anagram equal.
    """
    if kind == "program":
        from rewards_generated.answers.programs import passes

        return passes(extracted, gold)
    if kind == "expression":
        return solves(extracted, gold)
    if kind == "choice":
        return (letter := letter_of(extracted)) is not None and letter == letter_of(gold)
    first, second = _plain_text(extracted), _plain_text(gold)
    if kind == "text":
        return bool(first) and first.casefold() == second.casefold()
    if not first or not second:
        return False
    if extracted.strip() == gold.strip():
        return True
    if max(len(first), len(second)) > LONGEST_ANSWER:
        return False
    if kind == "number":
        number, other = number_of(extracted), number_of(gold)
    else:
        number, other = parse_number(extracted, units=False), parse_number(gold, units=False)
        if number is None and other is not None and _SENTENCE.search(first):
            number = number_of(extracted)
    if number is not None and other is not None:
        return equal_numbers(number, other)
    if _WORDS.fullmatch(first) or _WORDS.fullmatch(second):
        return first.strip("()").casefold() == second.strip("()").casefold()
    if kind == "number" and not _is_arithmetic(first):
        return False
    from rewards_generated.answers.symbolic import symbolically_equal

    return symbolically_equal(extracted.strip(), gold.strip())


def _is_arithmetic(text: str) -> bool:
    """Whether an answer that should be a number may be asked about as a formula: it has digits, and no names of its own
    (`5x`, `4 pi`), no list, and no base (`2051_6`)."""
    return bool(re.search("[0-9]", text)) and not re.search("[A-Za-z_,;:=<>]", _COMMANDS.sub("", text))


def _plain_text(text: str) -> str:
    return " ".join(clean_answer(text).split()).rstrip(".")
