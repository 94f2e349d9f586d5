import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards_generated.answers import ANSWER_FORMATS, extract_answer
from rewards_generated.answers.extraction import last_boxed

SOLUTION, ANSWER, BOXED = (ANSWER_FORMATS[name] for name in ("solution", "answer", "boxed"))


@pytest.mark.parametrize(
    ("completion", "strict", "flexible"),
    [
        ("<thinking>6*12</thinking><solution>72</solution>", "72", "72"),
        ("<solution>\n 72 clips\n</solution>", "72 clips", "72 clips"),
        ("<solution>1</solution> no, <solution>2</solution>", "2", "2"),
        ("<solution>5</solution> trailing <solution>", "5", "5"),
        ("so the answer is 72.", None, "72"),
        ("6 * 12 makes 72", None, "72"),
        ("a gain of -4 degrees", None, "-4"),
        ("10-4", None, "4"),
        ("work\n#### 1,234", None, "1,234"),
        ("so \\boxed{72} it is, from 12 and 6", None, "72"),
        ("<solution>72", None, "72"),
        ("<solution></solution> 9", None, "9"),
        ("<solution>no idea</solution> 9", None, "9"),
        ("<answer>72</answer>", None, "72"),
        ("</solution>72<solution>", None, "72"),
        ("nothing to see", None, None),
        ("", None, None),
    ],
)
def test_solution_tags(completion, strict, flexible):
    assert extract_answer(completion, SOLUTION) == type(extract_answer("", SOLUTION))(strict, flexible)


def test_think_and_answer_tags():
    assert extract_answer("<think>..</think><answer>x+1</answer>", ANSWER, "mathematics").strict == "x+1"


@pytest.mark.parametrize(
    ("completion", "strict"),
    [
        ("thus \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("\\boxed{1} then \\boxed{\\sqrt{3}}", "\\sqrt{3}"),
        ("\\boxed{never closed", None),
        ("\\boxed{}", None),
    ],
)
def test_boxed(completion, strict):
    assert extract_answer(completion, BOXED, "mathematics").strict == strict


@pytest.mark.parametrize(
    ("completion", "boxed"),
    [
        ("\\boxed{4} and once more: \\boxed{", "4"),
        ("in \\boxed{}: \\boxed{4}", "4"),
        ("\\boxed 4.", "4"),
        ("\\boxed {4}", "4"),
        ("\\boxed{\\left\\{ x \\right.}", "\\left\\{ x \\right."),
        ("\\fbox{4}", "4"),
        ("{{{ \\boxed{4} ", "4"),
        ("\\boxed{a \\\\} b", "a \\\\"),
        ("\\boxedfoo{4}", None),
        ("$\\boxed{4}$ and $\\boxed{5}$.", "\\boxed{4}$ and $\\boxed{5}"),
        (
            "\\boxed{4}, \\boxed{5} \\quad \\text{or} \\quad \\boxed{6}",
            "\\boxed{4}, \\boxed{5} \\quad \\text{or} \\quad \\boxed{6}",
        ),
        ("first \\boxed{4}. Then, and better, \\boxed{5}", "5"),
        ("\\boxed{\\boxed{4}}", "4"),
    ],
)
def test_boxes_as_models_write_them(completion, boxed):
    assert last_boxed(completion) == boxed


@pytest.mark.parametrize(
    ("completion", "kind", "flexible"),
    [
        ("The answer is 5/7.", "number", "5/7"),
        ("The answer is \\frac{5}{7}.", "number", "\\frac{5}{7}"),
        ("The answer is 1 5/7 cups.", "number", "1 5/7"),
        ("The answer is 8 - 3 = 5.", "number", "5"),
        ("The answer is 5 = 8 - 3.", "number", "5"),
        ("The answer is $3{,}125.", "number", "$3,125"),
        ("The answer is 7e3", "number", "7e3"),
        ("The answer is .25", "number", ".25"),
        ("The answer is 3 million", "number", "3 million"),
        ("It fell to \u22128 degrees.", "number", "-8"),
        ("**Answer:** 12.", "number", "12"),
        ("The ANSWER is: 12, not 13", "number", "12"),
        ("Thus the answer is $x>3$, as said.", "mathematics", "$x>3$"),
        ("The answer is $2$ and $3$. Done.", "mathematics", "$2$ and $3$"),
        ("The answer is x + 1. It is final.", "mathematics", "x + 1"),
        ("We find $a=4$ and so $b=\\sqrt{2}$.", "mathematics", "$b=\\sqrt{2}$"),
        ("We find $a=4$ and so 17.", "mathematics", "17"),
        ("Final answer: the volume of $ABCD$ is 17. I hope so.", "mathematics", "17"),
        (
            "So it is $ \\begin{pmatrix} 1 & 2 \\end{pmatrix} $",
            "mathematics",
            "$ \\begin{pmatrix} 1 & 2 \\end{pmatrix} $",
        ),
        ("It costs $5 and then $6 more", "mathematics", "$6"),
        ("an area of 17m\u00b2", "number", "17"),
        ("by bus K17B or 9", "number", "9"),
        ("<solution>The share is 5/7.</solution>", "number", "The share is 5/7."),
        ("<solution>#### 5</solution>", "number", "5"),
        ("<solution>so \\boxed{5} it is</solution>", "number", "5"),
    ],
)
def test_the_whole_expression_is_read_where_it_stands(completion, kind, flexible):
    assert extract_answer(completion, SOLUTION, kind).flexible == flexible


def test_text_answers_need_no_digit():
    assert extract_answer("<solution>Paris</solution>", SOLUTION, "text").strict == "Paris"
    assert extract_answer("the answer is Paris.", SOLUTION, "text").flexible == "Paris"
    assert extract_answer("7 or so", SOLUTION, "text").flexible is None


def test_an_essay_between_the_tags_is_no_answer():
    assert extract_answer("<solution>" + "1 " * 2000 + "</solution>", SOLUTION).strict is None


HOSTILE = [
    "<solution>" * 200_000,
    "</solution>" * 200_000,
    "<solution>" + "9" * 10_000 + "</solution>",
    "\x00" * 100_000,
    "\\boxed{" * 100_000,
    "{" * 300_000,
    "1," * 300_000,
    "-" * 500_000,
    "answer is " * 100_000,
    "1." * 300_000,
    "\ud800 <solution>\udfff5</solution>",
    "####" * 200_000,
]


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_neither_raises_nor_stalls(text):
    start = time.process_time()
    for form in ANSWER_FORMATS.values():
        for kind in ("number", "mathematics", "text"):
            extract_answer(text, form, kind)
    # A quadratic scan of these would take minutes.
    assert time.process_time() - start < 10


PIECES = [
    "<solution>",
    "</solution>",
    "\\boxed{",
    "}",
    "answer is",
    "#### ",
    "7",
    "-",
    "1,000",
    ".5",
    " ",
    "\n",
    "\x00",
    "é",
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_text_gives_a_strict_answer_that_flexible_keeps(text):
    for form in ANSWER_FORMATS.values():
        found = extract_answer(text, form)
        if found.strict is not None:
            assert found.flexible == found.strict
            assert found.strict in text
