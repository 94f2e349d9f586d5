from fractions import Fraction

import pytest

from rewards_generated.answers.number import clean_answer, equal_numbers, parse_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("72", 72),
        ("  72. ", 72),
        ("-5", -5),
        ("\u22125", -5),
        ("+5", 5),
        ("1,234,567", 1234567),
        ("0.5", Fraction(1, 2)),
        (".25", Fraction(1, 4)),
        ("72.", 72),
        ("$18", 18),
        ("\\$18", 18),
        ("-$18", -18),
        ("$-18", -18),
        ("€5", 5),
        ("5€", 5),
        ("$1,234.50", Fraction(2469, 2)),
        ("3/4", Fraction(3, 4)),
        ("-3 / 4", Fraction(-3, 4)),
        ("1 1/2", Fraction(3, 2)),
        ("-1 1/2", Fraction(-3, 2)),
        ("\\frac{3}{4}", Fraction(3, 4)),
        ("-\\dfrac{3}{4}", Fraction(-3, 4)),
        ("$\\frac{144}{2}$", 72),
        ("\\boxed{72}", 72),
        ("\\boxed{\\frac{1}{2}}", Fraction(1, 2)),
        ("\\(72\\)", 72),
        ("\\[72\\]", 72),
        ("72 clips", 72),
        ("72 miles per hour", 72),
        ("72 km/h", 72),
        ("72\\text{ clips}", 72),
        ("\\text{72 clips}", 72),
        ("1{,}000", 1000),
        ("1\\,000", 1000),
        ("2e3", 2000),
        ("1.5e-2", Fraction(3, 200)),
        ("25%", 25),
        ("25\\%", 25),
        ("3 m²", 3),
    ],
)
def test_numbers_as_people_write_them(text, value):
    found = parse_number(text)
    assert (found and found.value) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "abc",
        "5 or 6",
        "5, 6",
        "10 - 5",
        "x = 5",
        "1,23",
        "12 34",
        "1.2.3",
        "1/0",
        "5 hours 30 minutes",
        "inf",
        "nan",
        "--5",
        "٣",
        "\x00",
    ],
)
def test_anything_else_is_no_plain_number(text):
    assert parse_number(text) is None


@pytest.mark.parametrize("text", ["5 apples", "5\\text{ cm}", "5 m"])
def test_without_units_words_are_not_ignored(text):
    assert parse_number(text, units=True) is not None
    assert parse_number(text, units=False) is None


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        ("0.333333", "1/3", True),
        ("0.33", "1/3", False),
        ("50%", "50", True),
        ("50%", "0.5", True),
        ("50%", "5000", False),
        ("50%", "50%", True),
        ("7", "7.0", True),
        ("7", "7.01", False),
        ("1000001", "1000002", False),
        ("100000000000000000001", "100000000000000000002", False),
    ],
)
def test_equality_by_value(first, second, equal):
    assert equal_numbers(parse_number(first), parse_number(second)) is equal


def test_a_number_of_ten_thousand_digits_is_refused_not_raised():
    assert parse_number("9" * 10_000) is None


def test_delimiters_that_mean_nothing_go():
    assert clean_answer("$$\\boxed{ 7 }$$") == "7"
    assert clean_answer("\\boxed{1} and \\boxed{2}") == "\\boxed{1} and \\boxed{2}"
