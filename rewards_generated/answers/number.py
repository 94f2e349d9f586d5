r"""Numbers as people and models write them: signs, thousands, decimals, fractions, currency, units, light LaTeX.

Everything here runs in time linear in the text and raises for no text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

LONGEST_TEXT = 1_000
"""Characters of a plain number; anything longer is not read as one (and Python refuses integers past 4,300 digits)."""

DECIMAL_TOLERANCE = Fraction(1, 2_000_000)
"""Decimals are compared to six places, as math-verify does."""


@dataclass(frozen=True, slots=True)
class PlainNumber:
    value: Fraction
    percent: bool = False
    decimal: bool = False
    """Written with a decimal point or an exponent, hence possibly rounded."""


_VULGAR = "".join(chr(code) for code in (0xBC, 0xBD, 0xBE, *range(0x2150, 0x215F), 0x2189))
_CHARACTERS = str.maketrans(
    {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63", "-")
    | dict.fromkeys("\u00a0\u2007\u2008\u2009\u200a\u202f\u3000", " ")
    | dict.fromkeys("\u200b\u2060\ufeff")
    | {"\u2044": "/", "\u00d7": "\\times ", "\u00b7": "\\cdot ", "\u22c5": "\\cdot "}
    | dict(
        zip("\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079", map("^{}".format, range(10)), strict=True)
    )
)
"""Full-width forms, the dashes that stand for a minus, printers' blanks, and signs that LaTeX has commands for."""

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]{1,3}(?: [0-9]{3})+(?![0-9])|[0-9]+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.[0-9]*)?|\.[0-9]+)"
_OVER = r"(?:\{\s*(-?\s*[0-9][0-9,]*)\s*\}|\s*([0-9]))"
_CURRENCY = r"(?:(?:US|A|C)?\\?\$|[€£¥₹₩₽₺₫₪฿]|(?:USD|EUR|GBP|Rs\.?)(?=[\s0-9]))\s*"
_TIMES_TEN = (
    r"\s*(?:\\times|\\cdot|\*|x)\s*10\s*(?:\^|\*\*)\s*(?:\{\s*([-+]?[0-9]{1,3})\s*\}|([-+]?[0-9]{1,3})(?![0-9]))"
)
_PERCENT = r"(?P<percent>\s*\\?%|\s*(?:percent(?:age)?|per cent|pct)\b)?"
_SCALES = {
    "dozen": Fraction(12),
    "hundred": Fraction(100),
    "thousand": Fraction(1000),
    "million": Fraction(10**6),
    "billion": Fraction(10**9),
    "trillion": Fraction(10**12),
    "half": Fraction(1, 2),
    "halves": Fraction(1, 2),
}
_PARTS = ("third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
for _place, _part in [*enumerate(_PARTS, start=3), (12, "twelfth"), (100, "hundredth"), (1000, "thousandth")]:
    _SCALES |= {_part: Fraction(1, _place), f"{_part}s": Fraction(1, _place)}
_SCALES |= {f"{_word}s": _SCALES[_word] for _word in ("hundred", "thousand", "million", "billion", "trillion")}
_SCALE = rf"(?:[\s-]\s*(?P<scale>{'|'.join(sorted(_SCALES, key=len, reverse=True))})(?![A-Za-z]))?"

_NUMBER = re.compile(
    rf"(?P<sign>(?:(?<![0-9A-Za-z.)}}\]])[-+]\s*)?)(?:{_CURRENCY}(?P<inner>[-+]?)\s*|(?<![A-Za-z]))(?<![0-9.,^_])"
    rf"(?:(?:(?P<whole>[0-9]+)\s*)?\\[dtc]?frac\s*(?P<top>{_OVER})\s*(?P<bottom>{_OVER})"
    rf"|(?:(?P<units>[0-9]+)\s+)?(?P<over>{_DIGITS})\s*/\s*(?P<under>{_DIGITS})(?![.,]?[0-9])"
    rf"|(?:(?P<round>[0-9]+)\s*)?(?P<vulgar>[{_VULGAR}])"
    rf"|(?P<decimal>{_DECIMAL})(?![0-9]|[.,:][0-9])"
    rf"(?:[eE](?P<exponent>[-+]?[0-9]{{1,3}})(?![0-9A-Za-z])|(?P<ten>{_TIMES_TEN}))?)"
    rf"{_PERCENT}{_SCALE}"
)

_SHORT_UNITS = frozenset(
    [
        "m",
        "g",
        "s",
        "h",
        "l",
        "L",
        "K",
        "C",
        "F",
        "W",
        "V",
        "A",
        "J",
        "N",
        "T",
        "cm",
        "mm",
        "km",
        "nm",
        "um",
        "kg",
        "mg",
        "lb",
        "oz",
        "hr",
        "hrs",
        "ml",
        "mL",
        "dl",
        "cl",
        "ft",
        "in",
        "yd",
        "mi",
        "Hz",
        "kW",
        "kJ",
        "kB",
        "KB",
        "MB",
        "GB",
        "TB",
        "mi",
        "pm",
        "am",
        "AM",
        "PM",
        "st",
        "nd",
        "rd",
        "th",
        "ct",
        "mA",
        "mV",
        "kV",
        "Pa",
        "ha",
        "ac",
        "pt",
        "qt",
        "gal",
        "ms",
        "ns",
        "min",
        "sec",
        "yr",
        "wk",
        "mo",
        "cc",
    ]
)
"""Units of one or two letters; any other such letters behind a number are a product, as in `5x`."""
_NO_UNITS = frozenset(
    [
        "pi",
        "tau",
        "squared",
        "cubed",
        "plus",
        "minus",
        "times",
        "over",
        "divided",
        "multiplied",
        "mod",
        "modulo",
        "choose",
        "factorial",
        "or",
        "to",
        "through",
    ]
)
_UNIT_WORD = re.compile(r"\s*\\?([$€£¢]|°\s?[CF]?|\^\s*\{?\\circ\}?\s?[CF]?|[A-Za-zµΩ][A-Za-zµΩ.'’\-]*)")
_UNIT_GOES_ON = re.compile(
    r"(?:\^\s*(?:\{\s*-?[0-9]\s*\}|-?[0-9])|(?:\s*/\s*|[\s,]+|\s*\\cdot\s*)[A-Za-zµΩ°$€£¢][A-Za-zµΩ.'’\-]*)*"
)
_WRAPPER = re.compile(r"\\(?:text|textbf|textrm|textit|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}")
_THOUSANDS = re.compile(r"(?<=[0-9])(?:\{,\}|,\s?\\!|\\[,!; ]|~)(?=[0-9]{3}(?![0-9]))")
_SPACES = re.compile(r"(?<!\\)\\[,!;: ]|\\(?:quad|qquad)(?![A-Za-z])|~|\s+")
_LABEL = re.compile(r"(?:[A-Za-z][A-Za-z '’\-]{0,60}:\s*|=\s*)")
_NAMED = re.compile(r"[A-Za-z_ ()']*")


def clean_answer(text: str, words: bool = True) -> str:
    r"""Without what means nothing for a number or a word: `$...$`, `\boxed{}`, `**`, thin spaces, a typographic minus,
    and with `words` `\text{}` too."""
    text = _THOUSANDS.sub(",", text.translate(_CHARACTERS))
    if words:
        text = _WRAPPER.sub(r" \1", text)
    text = _SPACES.sub(" ", text).strip()
    while True:
        inner = _unwrapped(text)
        if inner == text:
            return text
        text = inner


_PAIRS = (
    ("\\boxed{", "}"), ("\\fbox{", "}"), ("\\(", "\\)"), ("\\[", "\\]"), ("$$", "$$"), ("$", "$"), ("**", "**"),
    ("__", "__"), ("`", "`"), ("*", "*"), ("\\left(", "\\right)"),
)  # fmt: skip


def _unwrapped(text: str) -> str:
    bare = text.rstrip(".,;: ") if text[-2:-1] in tuple("$*`)}]_") else text
    for opening, closing in _PAIRS:
        if len(bare) > len(opening) + len(closing) and bare.startswith(opening) and bare.endswith(closing):
            inner = bare[len(opening) : len(bare) - len(closing)]
            braces = closing == "}"
            if (balanced(inner) if braces else opening not in inner) and not (braces and opening in inner):
                return inner.strip()
    return text


def balanced(text: str) -> bool:
    """Whether its braces pair up."""
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0


def parse_number(text: str, units: bool = True) -> PlainNumber | None:
    """The one number that the whole text is; None where it is anything else (never raises).

    With `units`, a unit behind the number is left out: right for `72 clips`, wrong for the algebra of `5x`.
    """
    if len(text) > LONGEST_TEXT:
        return None
    text = clean_answer(text, words=units).rstrip(".;, ")
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    match = _NUMBER.match(text)
    if match is None:
        return None
    rest = text[match.end() :]
    if rest and not (units and _is_unit(rest)):
        return None
    return _value(match)


def number_of(text: str) -> PlainNumber | None:
    """The number that an answer states: it alone, behind a label or as a side of an equation, or as the only number of
    a sentence (`Total: 61`, `x = 61`, `5 + 56 = 61`, `She has 61 cows left.`)."""
    if (number := parse_number(text)) is not None or len(text) > LONGEST_TEXT:
        return number
    text = clean_answer(text)
    if label := _LABEL.match(text):
        text = text[label.end() :]
        if (number := parse_number(text)) is not None:
            return number
    sides = [side.strip() for side in re.split(r"(?<![<>!:])=", text)]
    if len(sides) > 1:
        return _of_equation(sides)
    found = list(islice(_NUMBER.finditer(text), 2))
    if len(found) != 1 or not _is_sentence(text[: found[0].start()] + text[found[0].end() :]):
        return None
    rest = text[found[0].end() :]
    return None if rest[:1] == "_" or _is_factor(rest) else _value(found[0])


def _of_equation(sides: list[str]) -> PlainNumber | None:
    for side, others in ((sides[-1], sides[:-1]), (sides[0], sides[1:])):
        number = parse_number(side)
        # `2x = 10` states no number: only names and arithmetic may stand on the other sides.
        if number is not None and all(_NAMED.fullmatch(other) or not _has_letters(other) for other in others):
            return number
    return None


def _has_letters(text: str) -> bool:
    return re.search(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", "", text)) is not None


def _is_sentence(text: str) -> bool:
    return re.search(r"[A-Za-z]{2,}\s", text) is not None and not re.search(r"[+*/^_<>]|\\[A-Za-z]", text)


def numbers_in(text: str) -> Iterator[str]:
    """The numbers of a text of any length, whole: with sign, currency, fraction, percent and scale (`2.5 million`),
    typographic signs and LaTeX's blanks made plain. Parts of what is no number (`10:30`) are passed over."""
    for match in _NUMBER.finditer(_THOUSANDS.sub(",", text.translate(_CHARACTERS))):
        yield match.group().strip().removesuffix(".")


def _is_unit(rest: str) -> bool:
    r"""Whether what follows a number is a unit: `clips`, `km/h`, `cm^2`, `square feet`; not `x`, `pi`, `squared`."""
    first = _UNIT_WORD.match(rest)
    if first is None or _is_factor(rest):
        return False
    end = _UNIT_GOES_ON.match(rest, first.end())
    return end is not None and not rest[end.end() :].strip(" .!")


def _is_factor(rest: str) -> bool:
    """Whether the first word behind a number makes another number of it: a variable, a constant, an operation."""
    first = _UNIT_WORD.match(rest)
    word = first[1].rstrip(".'’-") if first else ""
    if first is None or not word.isalpha():
        return False
    if word.lower() in _NO_UNITS:
        return True
    glued = rest[:1].isalpha()
    short = word not in _SHORT_UNITS and (len(word) == 1 or (glued and len(word) == 2))
    return short and (word not in ("a", "I") or glued or not rest[first.end() :].strip(" ."))


def _value(match: re.Match[str]) -> PlainNumber | None:
    part = {name: (found or "").replace(",", "").replace(" ", "") for name, found in match.groupdict().items()}
    if part["sign"] and part["inner"]:
        return None
    exact = None
    if part["decimal"]:
        power = part["exponent"] or re.sub(r".*(?:\^|\*\*)\{?|\}", "", part["ten"])
        value = Fraction(part["decimal"].rstrip(".") + (f"e{int(power)}" if power else ""))
        exact = "." not in part["decimal"] and not power
    elif part["vulgar"]:
        value = Fraction(unicodedata.numeric(part["vulgar"])).limit_denominator(1000) + int(part["round"] or 0)
    else:
        top, bottom = (part[name].strip("{}") for name in (("top", "bottom") if part["top"] else ("over", "under")))
        if int(bottom) == 0:
            return None
        value = Fraction(int(top), int(bottom)) + int(part["whole"] or part["units"] or 0)
    if "-" in part["sign"] + part["inner"]:
        value = -value
    value *= _SCALES.get(part["scale"], 1)
    return PlainNumber(value, bool(part["percent"]), exact is False)


def equal_numbers(first: PlainNumber, second: PlainNumber) -> bool:
    """By value; `50%` equals both 50 and 0.5, since tasks write percentages either way."""
    tolerance = DECIMAL_TOLERANCE if first.decimal or second.decimal else Fraction(0)
    candidates = [(first.value, second.value)]
    if first.percent and not second.percent:
        candidates.append((first.value / 100, second.value))
    if second.percent and not first.percent:
        candidates.append((first.value, second.value / 100))
    return any(abs(a - b) <= tolerance for a, b in candidates)
