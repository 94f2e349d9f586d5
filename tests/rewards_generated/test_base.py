"""The base rewards give the figures of arXiv 2605.02073."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rewards_generated.base import BASE_REWARDS, answer_check, format_approximate, format_exact, parse_number

GOOD = "<thinking> 17 + 5 = 22 . </thinking> <solution> 22 </solution>"


@pytest.mark.parametrize(
    ("completion", "value"),
    [
        (GOOD, 3.0),
        ("\n<thinking>a\nb</thinking>\n\n<solution>1</solution>\n", 3.0),
        ("Sure. " + GOOD, 0.0),
        (GOOD + " done", 0.0),
        ("<thinking>a</thinking> so <solution>1</solution>", 0.0),
        ("<solution>1</solution><thinking>a</thinking>", 0.0),
        ("<thinking><thinking>a</thinking><solution>1</solution>", 0.0),
        ("<THINKING>a</THINKING><SOLUTION>1</SOLUTION>", 0.0),
        ("", 0.0),
    ],
)
def test_exact_format_is_all_or_nothing(completion: str, value: float) -> None:
    assert format_exact("", completion, "") == value


@pytest.mark.parametrize(
    ("completion", "value"),
    [
        (GOOD, 2.0),
        ("22", -2.0),
        ("<solution>22</solution>", 0.0),
        (GOOD + "<solution>", 1.0),
        ("</solution><solution></thinking><thinking>", 2.0),
    ],
)
def test_approximate_format_counts_tags_that_appear_once(completion: str, value: float) -> None:
    assert format_approximate("", completion, "") == value


@pytest.mark.parametrize(
    ("solution", "gold", "value"),
    [
        ("100", "100", 3.0),
        (" $1,000 ", "1000", 3.0),
        ("100.0", "100", 3.0),
        ("100.", "100", 3.0),
        ("0.5", "1/2", 3.0),
        ("110", "100", 1.0),
        ("90", "100", 1.0),
        ("111", "100", 0.5),
        ("120", "100", 0.5),
        ("80", "100", 0.5),
        ("121", "100", -1.5),
        ("-100", "100", -1.5),
        ("-95", "-100", 1.0),
        ("1", "0", -1.5),
        ("0", "0", 3.0),
        ("x + 1", "100", -1.5),
        ("100 or 200", "100", -1.5),
        ("9" * 10_000, "100", -1.5),
        ("x + 1", "x + 1", 3.0),
        ("", "100", 0.0),
    ],
)
def test_answer_check_gives_the_figures_of_the_paper(solution: str, gold: str, value: float) -> None:
    assert answer_check("", f"<thinking>t</thinking><solution>{solution}</solution>", gold) == value


def test_without_a_complete_solution_block_the_answer_check_is_neutral() -> None:
    for completion in ("100", "<solution>100", "100</solution>", "</solution>100<solution>"):
        assert answer_check("", completion, "100") == 0.0


def test_only_the_last_solution_counts() -> None:
    assert answer_check("", "<solution>100</solution><solution>7</solution>", "100") == -1.5


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,234,567", Decimal(1234567)),
        ("-$5.50", Decimal("-5.5")),
        ("$-5.50", Decimal("-5.5")),
        (".5", Decimal("0.5")),
        ("12 %", Decimal(12)),
        ("-3/4", Decimal("-0.75")),
        ("1/0", None),
        ("--3", None),
        ("", None),
        ("$", None),
        (".", None),
        ("1e5", None),
        ("٣", None),
        ("5 apples", None),
    ],
)
def test_numbers_are_read_whole_or_not_at_all(text: str, number: Decimal | None) -> None:
    assert parse_number(text) == number


def test_base_rewards_are_finite_on_hostile_text() -> None:
    for completion in ("\x00", "<solution>" * 5000, "<solution>" + "9" * 20000 + "</solution>", "﷽" * 1000, GOOD * 500):
        for reward in BASE_REWARDS.values():
            assert abs(reward("p", completion, "22")) <= 3.0
