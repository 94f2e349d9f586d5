"""Arithmetic expressions with given numbers, read by a parser of our own: nothing is ever evaluated as code."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

LONGEST_EXPRESSION = 300
"""Characters; of a longer text nothing is read."""
_DEEPEST = 50
"""Brackets within brackets."""
_SPELLINGS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "[": "(", "]": ")", "\u00a0": " "})
_COMMANDS_OF_ARITHMETIC = {"\\times": "*", "\\cdot": "*", "\\div": "/", "\\left": "", "\\right": "", "\\,": ""}
_TOKEN = re.compile(r"\s*([0-9]{1,12}(?![0-9.])|[-+*/()])")
_AROUND = "$`* \n\t"


@dataclass(frozen=True, slots=True)
class Expression:
    """Value and numbers of an expression of whole numbers, + - * / and brackets."""

    value: Fraction
    numbers: Counter[int]
    """How often each number stands in it."""


class _NoExpression(Exception):
    pass


def parse_expression(text: str) -> Expression | None:
    """What the whole text says; a claimed result may follow it (`3 * 8 = 24`). None for anything else, for a division
    by zero and for a claim that is wrong (never raises). A sign before a number (`-3`) is no expression here."""
    if len(text) > LONGEST_EXPRESSION:
        return None
    for command, sign in _COMMANDS_OF_ARITHMETIC.items():
        text = text.replace(command, sign)
    sides = text.translate(_SPELLINGS).strip(_AROUND).rstrip(".").split("=")
    try:
        left = _Reader(sides[0]).whole()
        if len(sides) == 1:
            return left
        right = _Reader(sides[1]).whole()
    except (_NoExpression, ZeroDivisionError):
        return None
    return left if len(sides) == 2 and right.numbers.total() == 1 and right.value == left.value else None


def solves(given: str, gold: str) -> bool:
    """Whether an expression has the value of the gold one and uses no number that the gold one does not have, nor one
    more often: the gold expression uses all numbers that there are."""
    found, wanted = parse_expression(given), parse_expression(gold)
    return found is not None and wanted is not None and found.value == wanted.value and found.numbers <= wanted.numbers


class _Reader:
    """Recursive descent: sums of products of numbers and brackets."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        place, text = 0, text.rstrip()
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None:
                raise _NoExpression
            self._tokens.append(found[1])
            place = found.end()
        self._place = 0
        self._numbers: Counter[int] = Counter()

    def whole(self) -> Expression:
        value = self._sum(0)
        if self._place < len(self._tokens):
            raise _NoExpression
        return Expression(value, self._numbers)

    def _next(self, wanted: str) -> str | None:
        """The next token if it is one of these signs; it is then read."""
        if self._place < len(self._tokens) and self._tokens[self._place] in wanted:
            self._place += 1
            return self._tokens[self._place - 1]
        return None

    def _sum(self, depth: int) -> Fraction:
        value = self._product(depth)
        while (sign := self._next("+-")) is not None:
            other = self._product(depth)
            value = value + other if sign == "+" else value - other
        return value

    def _product(self, depth: int) -> Fraction:
        value = self._operand(depth)
        while (sign := self._next("*/")) is not None:
            other = self._operand(depth)
            value = value * other if sign == "*" else value / other
        return value

    def _operand(self, depth: int) -> Fraction:
        if self._next("(") is not None:
            if depth == _DEEPEST:
                raise _NoExpression
            value = self._sum(depth + 1)
            if self._next(")") is None:
                raise _NoExpression
            return value
        if self._place == len(self._tokens) or not self._tokens[self._place].isdigit():
            raise _NoExpression
        number = int(self._tokens[self._place])
        self._place += 1
        self._numbers[number] += 1
        return Fraction(number)
