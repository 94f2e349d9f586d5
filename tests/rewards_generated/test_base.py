"""The base rewards give the figures of arXiv 2605.02073."""

from __future__ import annotations

import pytest

from rewards_generated.answers import ANSWER_FORMATS, AnswerFormat, AnswerRules, is_right
from rewards_generated.base import base_rewards

BASE = base_rewards()
format_exact, format_approximate, answer_check = BASE.values()

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


FORMATS = {
    "answer": ANSWER_FORMATS["answer"],
    "boxed": ANSWER_FORMATS["boxed"],
    "opened": AnswerFormat("think", "answer", reasoning_opened=True),
    "think and box": AnswerFormat("think", None),
    "answer alone": AnswerFormat(None, "answer"),
}


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_every_format_has_all_three_rewards(form: AnswerFormat) -> None:
    exact, approximate, check = base_rewards(AnswerRules(form)).values()
    good, wrong = form.completion("7 + 5 = 12 .", "12"), form.completion("7 + 5 = 13 .", "99")
    assert (exact("", good, "12"), check("", good, "12"), check("", wrong, "12")) == (3.0, 3.0, -1.5)
    highest = approximate("", good, "12")
    assert highest == max(approximate("", text, "12") for text in (good, wrong, "", "12", good + good)) > 0
    assert approximate("", "12", "12") == -highest
    assert exact("", "12", "12") == 0.0
    assert exact("", good + form.completion("again", "12"), "12") == 0.0
    assert check("", "12", "12") == 0.0
    assert form.completion("...", "...") in (base_rewards(AnswerRules(form))["format_exact"].__doc__ or "")


@pytest.mark.parametrize(
    ("completion", "exact", "approximate"),
    [
        ("so \\boxed{4}", 3.0, 1.0),
        ("so $\\boxed{4}$.", 3.0, 1.0),
        ("so \\[ \\boxed{\\frac{1}{2}} \\]\n", 3.0, 1.0),
        ("\\boxed{4} and more words", 0.0, 1.0),
        ("\\boxed{4} \\boxed{5}", 0.0, 0.0),
        ("\\boxed{4", 0.0, 0.0),
        ("\\boxed{}", 0.0, 0.0),
        ("4", 0.0, -1.0),
    ],
)
def test_boxes(completion: str, exact: float, approximate: float) -> None:
    rewards = base_rewards(AnswerRules(ANSWER_FORMATS["boxed"]))
    assert rewards["format_exact"]("", completion, "") == exact
    assert rewards["format_approximate"]("", completion, "") == approximate


@pytest.mark.parametrize(
    ("solution", "gold", "kind"),
    [
        ("She has 22 left.", "22", "number"),
        ("**22**", "22", "number"),
        ("22\\text{ cm}", "22", "number"),
        ("0.5", "\\frac{1}{2}", "mathematics"),
        ("x+1", "1+x", "mathematics"),
        ("rome", "Rome", "text"),
    ],
)
def test_what_evaluation_counts_as_right_is_paid_as_right(solution: str, gold: str, kind: str) -> None:
    rules = AnswerRules(answer_kind=kind)  # type: ignore[arg-type]
    completion = f"<thinking>t</thinking><solution>{solution}</solution>"
    assert is_right(rules, completion, gold)
    assert base_rewards(rules)["answer_check"]("", completion, gold) == 3.0


def test_what_is_right_outside_the_marks_is_never_paid_as_wrong() -> None:
    assert answer_check("", "the answer is 22 <solution>as said</solution>", "22") == 0.0
    assert answer_check("", "the answer is 23 <solution>as said</solution>", "22") == -1.5


def test_base_rewards_are_finite_on_hostile_text() -> None:
    for completion in ("\x00", "<solution>" * 5000, "<solution>" + "9" * 20000 + "</solution>", "﷽" * 1000, GOOD * 500):
        for reward in BASE.values():
            assert abs(reward("p", completion, "22")) <= 3.0
