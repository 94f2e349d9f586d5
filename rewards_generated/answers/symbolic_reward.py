"""Equality of mathematics through math-verify, as a reward that the sandbox runs: 1 equal, 0 not, or not understood.

`completion` holds the given answer and `answer` the gold one, each as it was written. The prompt `read` asks only
whether the gold can be read.
"""

import re
from typing import Any

from latex2sympy2_extended import NormalizationConfig
from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

_WHOLE = [LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False)]
_UNITS_KEPT = [
    LatexExtractionConfig(
        boxed_match_priority=0,
        try_extract_without_anchor=False,
        normalization_config=NormalizationConfig(
            basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="all", equations=False
        ),
    )
]
_IN_TEXT = [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()]
_CONSTANT = re.compile(r"\\(?:mathrm|text|rm)\s*\{\s*[ei]\s*\}")
_DELIMITED = re.compile(r"\\boxed|(?<!\\)\$|\\\(|\\\[")
_LAYOUT = re.compile(r"\s+|(?<!\\)\\(?:[,!;: ]|left(?![a-z])|right(?![a-z])|displaystyle(?![a-z]))")
_MARKS = re.compile(r"[\\{}]")
_NUMBERS = re.compile(r"[0-9]+")
_SIGNS = {
    "\u2264": "\\leq ", "\u2265": "\\geq ", "\u2260": "\\neq ", "\u00d7": "\\times ", "\u00f7": "\\div ",
    "\u00b7": "\\cdot ", "\u03c0": "\\pi ", "\u221e": "\\infty ", "\u00b0": "^\\circ ", "\u2212": "-", "\u2013": "-",
    "\u00b1": "\\pm ", "\u222a": "\\cup ", "\u2229": "\\cap ", "\u2208": "\\in ", "\u2205": "\\emptyset ",
    "\u00bd": "\\frac{1}{2}", "\u00bc": "\\frac{1}{4}", "\u00be": "\\frac{3}{4}", "\u03b8": "\\theta ",
    "\u03b1": "\\alpha ", "\u03b2": "\\beta ", "\u211d": "\\mathbb{R}", "\u2124": "\\mathbb{Z}", "\u00a0": " ",
}  # fmt: skip
_ROOT = re.compile("\u221a\\s*(\\([^()]*\\)|[0-9]+(?:\\.[0-9]+)?|[A-Za-z])")
_RAISED = dict(zip("\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b", "0123456789-", strict=True))
_POWER = re.compile("[" + "".join(_RAISED) + "]+")


def reward(prompt: str, completion: str, answer: str) -> float:
    golds = readings(answer)
    if prompt == "read":
        return float(bool(golds))
    if not golds:
        return float(bare(completion) == bare(answer))
    return float(any(equal(gold, given) for given in readings(completion) for gold in golds))


def readings(text: str) -> list[Any]:
    """What math-verify reads in an answer: formulas where it marks them, else the whole as a formula, else, where it
    holds one number alone, that."""
    text = latex(text).rstrip(". ")
    if _DELIMITED.search(text):
        return understood(text, _IN_TEXT)
    # An upright e or i is taken for a unit otherwise, and left out.
    found = understood("\\boxed{" + text + "}", _UNITS_KEPT if _CONSTANT.search(text) else _WHOLE)
    if not found and not _MARKS.search(text) and len(_NUMBERS.findall(text)) <= 2:
        found = understood(text, _IN_TEXT)
    return found


def bare(text: str) -> str:
    """How golds that the library cannot read are compared: letter by letter, without blanks and what only sets type."""
    return _LAYOUT.sub("", latex(text)).replace("dfrac", "frac").replace("tfrac", "frac").strip("$.")


def understood(text: str, extraction: list[Any]) -> list[Any]:
    try:
        return list(parse(text, extraction_config=extraction, fallback_mode="no_fallback", parsing_timeout=None))
    except (Exception, RecursionError):  # noqa: BLE001 - the text is hostile: not understood
        return []


def latex(text: str) -> str:
    """Signs that are no LaTeX as the commands that mean them; nothing that is LaTeX is touched."""
    if text.isascii():
        return text
    text = _ROOT.sub(lambda found: "\\sqrt{" + found[1].strip("()") + "}", text)
    text = _POWER.sub(lambda found: "^{" + "".join(_RAISED[sign] for sign in found[0]) + "}", text)
    for sign, command in _SIGNS.items():
        text = text.replace(sign, command)
    return text


def equal(gold: Any, given: Any) -> bool:
    try:
        return bool(verify(gold, given, timeout_seconds=None)) and not far_apart(gold, given)
    except (Exception, RecursionError):  # noqa: BLE001
        return False


def far_apart(gold: Any, given: Any) -> bool:
    """Whether two exact numbers differ by less than the library's precision shows, such as 1/1806! and 1/1808!."""
    try:
        if not (gold.is_number and given.is_number) or gold.has(_FLOAT) or given.has(_FLOAT):
            return False
        first, second = gold.doit(), given.doit()
        if first.is_Rational and second.is_Rational:
            return bool(first != second)
        scale = max(abs(first.evalf(30)), abs(second.evalf(30)))
        return bool(scale != 0 and abs((first - second).evalf(30)) / scale > 1e-12)
    except (Exception, RecursionError):  # noqa: BLE001
        return False


_FLOAT = type(parse("$0.5$", parsing_timeout=None)[0]) if parse("$0.5$", parsing_timeout=None) else float
