import re
import subprocess
import sys
from fractions import Fraction
from itertools import permutations

import pytest

from eval.tasks.base import TaskReference
from eval.tasks.conformance import check_task
from eval.tasks.registry import build_task
from rewards_generated.answers import is_right
from rewards_generated.base import base_rewards
from rewards_generated.errors import UserError

SPLITS = ("train", "validation", "test")
NAMES = ("word-problems", "countdown")


def task(name, **options):
    return build_task(TaskReference(name=name, options=options))


@pytest.mark.parametrize("name", NAMES)
def test_the_contract_of_a_task(name):
    check_task(task(name))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_in_another_process(name):
    code = (
        "from eval.tasks.registry import build_task; from eval.tasks.base import TaskReference;"
        f"print([e.id for e in build_task(TaskReference(name={name!r})).examples('test', 30)])"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert out == str([example.id for example in task(name).examples("test", 30)])


@pytest.mark.parametrize("name", NAMES)
def test_splits_share_no_question_under_any_seed(name):
    ids = {split: {e.id for seed in (0, 1) for e in task(name, seed=seed).examples(split, 400)} for split in SPLITS}
    assert not ids["train"] & ids["validation"]
    assert not (ids["train"] | ids["validation"]) & ids["test"]
    assert {e.id for e in task(name, seed=1).examples("test", 50)} != {e.id for e in task(name).examples("test", 50)}


@pytest.mark.parametrize("name", NAMES)
def test_a_larger_split_begins_with_the_smaller_one_and_the_format_changes_no_question(name):
    small = task(name, test=40).examples("test")
    assert len(small) == 40
    assert list(task(name, test=80).examples("test"))[:40] == list(small)
    boxed = task(name, test=40, answer_format="boxed").examples("test")
    assert [e.question for e in boxed] == [e.question for e in small]
    assert "\\boxed{}" in boxed[0].prompt[0]["content"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("countdown", {"numbers": [2], "largest": 5, "largest_target": 10}, r"seem to be only .* ask for fewer"),
        ("countdown", {"numbers": [8], "signs": ["/"]}, "only [0-9] such questions"),
        ("word-problems", {"steps": [1], "largest": 20, "operations": ["multiply"]}, "ask for fewer"),
    ],
)
def test_options_that_allow_too_few_questions_are_refused(name, options, message):
    with pytest.raises(UserError, match=message):
        task(name, **options).examples("train")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("countdown", {"numbers": [1]}, "one or more numbers from 2 to 8"),
        ("countdown", {"signs": ["^"]}, "`task.options.signs.0` = '\\^'"),
        ("countdown", {"signs": []}, "one or more of"),
        ("word-problems", {"steps": [0]}, "at least 1 step"),
        ("word-problems", {"operations": []}, "`task.options.operations`"),
        ("word-problems", {"level": 3}, "has no field 'level'"),
    ],
)
def test_bad_options_are_one_sentence(name, options, message):
    with pytest.raises(UserError, match=message):
        task(name, **options)


def numbers_and_target(question):
    given, target = re.match(r"Use the numbers (.*) to make (\d+)\.", question).groups()
    return sorted(map(int, re.findall(r"\d+", given))), int(target)


def test_countdown_asks_for_what_its_gold_reaches():
    made = task("countdown", numbers=[3, 4, 5])
    for example in made.examples("test", 200):
        numbers, target = numbers_and_target(example.question)
        assert sorted(map(int, re.findall(r"\d+", example.answer))) == numbers
        assert eval(example.answer) == target  # noqa: S307 - our own text
        assert target not in numbers
        assert example.attributes == {"numbers": len(numbers), "target": target}


def test_countdown_takes_every_solution_and_nothing_else():
    made = task("countdown", numbers=[3], largest=9)
    reward = base_rewards(made)["answer_check"]
    for example in made.examples("validation", 10):
        numbers, target = numbers_and_target(example.question)
        for a, b, c in permutations(numbers):
            for first in "+-*/":
                for second in "+-*/":
                    for text in (
                        f"({a} {first} {b}) {second} {c}",
                        f"{a} {first} ({b} {second} {c})",
                        f"{a} {first} {b}",
                    ):
                        try:
                            reaches = eval(re.sub(r"(\d+)", r"Fraction(\1)", text)) == target  # noqa: S307
                        except ZeroDivisionError:
                            reaches = False
                        completion = made.answer_format.completion("so", text)
                        assert is_right(made, completion, example.answer) == reaches, (text, target)
                        assert (reward("", completion, example.answer) == 3.0) == reaches
        assert not is_right(made, made.answer_format.completion("so", str(target)), example.answer)
        assert not is_right(made, made.answer_format.completion("so", f"{target} + 0"), example.answer)
    assert Fraction  # used in the evaluated texts


def test_difficulty_of_countdown():
    made = task("countdown", numbers=[5], largest=9, largest_target=30, signs=["+", "-"])
    for example in made.examples("train", 60):
        numbers, target = numbers_and_target(example.question)
        assert len(numbers) == 5
        assert max(numbers) <= 9
        assert target <= 30
        assert not set(example.answer) & set("*/")


def test_word_problems_are_solved_by_their_sentences():
    """By the numbers and operations in the order in which they are told, whatever stands between them."""
    made = task("word-problems", distractors=[0])
    for example in made.examples("train", 300):
        numbers = list(map(int, re.findall(r"\d+", example.question)))
        assert len(numbers) == example.attributes["steps"] + 1
        value = numbers[0]
        for operation, number in zip(example.attributes["operations"], numbers[1:], strict=True):
            if operation == "divide":
                assert value % number == 0
            value = {
                "add": value + number,
                "subtract": value - number,
                "multiply": value * number,
                "divide": value // number,
            }[operation]
            assert 1 <= value <= 200
        assert example.answer == str(value)
        assert "{" not in example.question
        equations = example.worked_solution.rstrip(".").split(". ")
        assert len(equations) == example.attributes["steps"]
        for equation in equations:
            left, _, right = equation.partition(" = ")
            assert eval(left) == int(right)  # noqa: S307 - our own text
        assert equations[-1].endswith(f"= {value}")


def test_difficulty_of_word_problems():
    easy = task("word-problems", steps=[1], largest=30, operations=["add", "subtract"], distractors=[0], train=200)
    assert {e.attributes["steps"] for e in easy.examples("train")} == {1}
    assert {op for e in easy.examples("train") for op in e.attributes["operations"]} == {"add", "subtract"}
    assert max(int(n) for e in easy.examples("train") for n in re.findall(r"\d+", e.question)) <= 30
    hard = task("word-problems", steps=[6], distractors=[2], largest=5000, train=50)
    for example in hard.examples("train"):
        assert len(re.findall(r"\d+", example.question)) == 9
    every = task("word-problems").examples("train", 1000)
    assert {len(e.attributes["operations"]) for e in every} == {1, 2, 3}
    assert {op for e in every for op in e.attributes["operations"]} == {"add", "subtract", "multiply", "divide"}
