"""Numbers as people and models write them: signs, commas, decimals, fractions, currency, units, light LaTeX."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

LONGEST_TEXT = 1_000
"""Characters of a plain number; anything longer is not read as one (and Python refuses integers past 4,300 digits)."""

DECIMAL_TOLERANCE = Fraction(1, 2_000_000)
"""Decimals are compared to six places, as math-verify does."""


class PlainNumber(NamedTuple):
    value: Fraction
    percent: bool
    decimal: bool
    """Written with a decimal point or an exponent, hence possibly rounded."""


_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.[0-9]*)?|\.[0-9]+)"
_FRACTION = r"\\[dt]?frac\s*\{\s*(?P<over>[0-9]+)\s*\}\s*\{\s*(?P<under>[0-9]+)\s*\}"
_SIGN = r"(?P<sign>[-+]?)\s*"
_CURRENCY = r"(?:\\?\$|€|£|USD\s|EUR\s)?\s*"
_PERCENT = r"(?P<percent>\s*\\?%)?"
_UNIT = r"(?:\s*\\?[$€£]|\s*(?:[A-Za-z°²³][A-Za-z°²³/.\-]*)(?:\s+[A-Za-z][A-Za-z/.\-]*){0,4})?"

_PLAIN = (
    rf"{_CURRENCY}{_SIGN}{_CURRENCY}"
    rf"(?:(?P<whole>[0-9]+)\s+(?P<part>[0-9]+)\s*/\s*(?P<parts>[0-9]+)"
    rf"|(?P<top>{_DIGITS})\s*/\s*(?P<bottom>{_DIGITS})"
    rf"|{_FRACTION}"
    rf"|(?P<decimal>{_DECIMAL})(?:[eE](?P<exponent>[-+]?[0-9]{{1,3}}))?(?![0-9]))"
    rf"{_PERCENT}"
)
_NUMBER = re.compile(rf"{_PLAIN}\s*\.?")
_QUANTITY = re.compile(rf"{_PLAIN}{_UNIT}\s*\.?")
_WRAPPER = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}")
_SPACES = re.compile(r"\\[,!;: ]|~|\s+")


def clean_answer(text: str, words: bool = True) -> str:
    """Without delimiters that mean nothing: `$...$`, `\\boxed{}`, thin spaces, typographic minus, and with `words`
    `\\text{}` too."""
    text = text.strip().replace("\u2212", "-").replace("{,}", ",")
    if words:
        text = _WRAPPER.sub(r" \1", text)
    text = _SPACES.sub(" ", text).strip()
    while True:
        inner = _unwrapped(text)
        if inner == text:
            return text
        text = inner


def _unwrapped(text: str) -> str:
    for opening, closing in (("\\boxed{", "}"), ("\\(", "\\)"), ("\\[", "\\]"), ("$$", "$$"), ("$", "$")):
        if len(text) > len(opening) + len(closing) and text.startswith(opening) and text.endswith(closing):
            inner = text[len(opening) : len(text) - len(closing)]
            balanced = opening != "\\boxed{" or _balanced(inner)
            if balanced and opening not in inner:
                return inner.strip()
    return text


def _balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0


def parse_number(text: str, units: bool = True) -> PlainNumber | None:
    """The one number that the text is; None where it is anything else (never raises).

    With `units`, words after the number are ignored: right for `72 clips`, wrong for the algebra of `5x`.
    """
    if len(text) > LONGEST_TEXT:
        return None
    match = (_QUANTITY if units else _NUMBER).fullmatch(clean_answer(text, words=units))
    if match is None:
        return None
    part = {name: (found or "").replace(",", "") for name, found in match.groupdict().items()}
    if part["decimal"]:
        value = Fraction(part["decimal"].rstrip(".") + (f"e{part['exponent']}" if part["exponent"] else ""))
    else:
        numerator, denominator = next(
            (part[over], part[under])
            for over, under in (("part", "parts"), ("top", "bottom"), ("over", "under"))
            if part[under]
        )
        if int(denominator) == 0:
            return None
        value = Fraction(int(numerator), int(denominator)) + int(part["whole"] or 0)
    if part["sign"] == "-":
        value = -value
    return PlainNumber(value, bool(part["percent"]), "." in part["decimal"] or bool(part["exponent"]))


def equal_numbers(first: PlainNumber, second: PlainNumber) -> bool:
    """By value; `50%` equals both 50 and 0.5, since tasks write percentages either way."""
    tolerance = DECIMAL_TOLERANCE if first.decimal or second.decimal else Fraction(0)
    candidates = [(first.value, second.value)]
    if first.percent and not second.percent:
        candidates.append((first.value / 100, second.value))
    if second.percent and not first.percent:
        candidates.append((first.value, second.value / 100))
    return any(abs(a - b) <= tolerance for a, b in candidates)
