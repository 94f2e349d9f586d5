import re
from collections import Counter
from fractions import Fraction
from random import Random
from time import perf_counter

import pytest

from rewards_generated.answers import ANSWER_FORMATS, equal_answers, extract_answer
from rewards_generated.answers.expression import parse_expression


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("8 - 3 - 2", 3),
        ("16 / 4 / 2", 2),
        ("1/3", Fraction(1, 3)),
        ("((((5))))", 5),
        ("3 × 4 ÷ 2 − 1", 5),
        (r"$3 \times (4 + 1)$", 15),
        (r"\left(3 + 4\right) \cdot 2", 14),
        ("[3 + 4] * 2.", 14),
        ("3 * 8 = 24", 24),
        ("`6*7`", 42),
    ],
)
def test_values(text, value):
    assert parse_expression(text).value == value


@pytest.mark.parametrize(
    "text",
    ["", "x", "3 +", "+ 3", "-3 + 5", "3 5", "(3", "3)", "()", "3 ** 2", "3^2", "3 // 2", "1.5 + 1", "5 / (3 - 3)",
     "3 * 8 = 25", "3 + 4 = 7 = 7", "3 + 4 = 3 + 4", "24 = 3 * 8", "__import__('os')", "3, 4", "3e5", "2" * 400,
     "(" * 150 + "3" + ")" * 150, "1234567890123 + 1"],
)  # fmt: skip
def test_what_is_no_expression(text):
    assert parse_expression(text) is None


def test_numbers_are_counted():
    assert parse_expression("(3 + 3) * 10 = 60").numbers == Counter({3: 2, 10: 1})


def test_against_pythons_own_arithmetic():
    random = Random(0)

    def grow(depth):
        if depth == 0 or random.random() < 0.3:
            return str(random.randint(1, 20))
        return f"({grow(depth - 1)} {random.choice('+-*/')} {grow(depth - 1)})"

    checked = 0
    for _ in range(2000):
        text = grow(3)
        found = parse_expression(text)
        try:
            wanted = eval(re.sub(r"\d+", r"Fraction(\g<0>)", text))  # noqa: S307 - our own text
        except ZeroDivisionError:
            wanted = None
        assert (found.value if found else None) == wanted
        checked += found is not None
    assert checked > 1500


def test_hostile_texts_take_no_time():
    started = perf_counter()
    for text in ("(" * 299, "1+" * 149, "9*" * 149 + "9", "((" * 74 + "1", "1" * 300, " " * 300):
        parse_expression(text)
    assert perf_counter() - started < 0.5


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("(2 + 10) * 2", True),
        ("2 * (10 + 2) = 24", True),
        ("10 + 10 + 2 + 2", False),
        ("12 * 2", False),
        ("24", False),
        ("2 * 10", False),
        ("nothing", False),
    ],
)
def test_who_solves_what_the_gold_solves(given, right):
    assert equal_answers(given, "(10 + 2) * 2", "expression") == right


@pytest.mark.parametrize(
    ("completion", "strict", "flexible"),
    [
        ("<solution>3 * 8</solution>", "3 * 8", "3 * 8"),
        ("<solution>The answer is 3 * 8.</solution>", "3 * 8", "3 * 8"),
        ("<solution>no idea</solution>", None, "no idea"),
        ("So the answer is 3 * 8 = 24.", None, "3 * 8 = 24"),
        ("so \\boxed{3 * 8}", None, "3 * 8"),
        ("3 * 8", None, None),
    ],
)
def test_an_expression_is_read_from_completions(completion, strict, flexible):
    found = extract_answer(completion, ANSWER_FORMATS["solution"], "expression")
    assert (found.strict, found.flexible) == (strict, flexible)
