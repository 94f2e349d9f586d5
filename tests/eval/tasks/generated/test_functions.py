import ast
import re

import pytest

from eval.engines.base import Generated
from eval.evaluate import judge_all
from eval.tasks.base import TaskReference
from eval.tasks.conformance import check_task
from eval.tasks.generated.families import FAMILIES
from eval.tasks.generated.functions import FunctionOptions, draw_function
from eval.tasks.registry import build_task
from eval.tasks.testbed.draws import Draws
from rewards_generated.answers.programs import judge_ahead, passes
from rewards_generated.errors import UserError

SPLITS = ("train", "validation", "test")


def code(**options):
    return build_task(TaskReference(name="code", options=options))


def of_family(family):
    """Some questions of a family."""
    found = {}
    for index in range(2_000):
        drawn = draw_function(Draws(f"{family.name}/{index}"), FunctionOptions(levels=(family.level,)))
        if drawn.attributes["family"] == family.name:
            found[drawn.content] = drawn
        if len(found) == 4:
            break
    return list(found.values())


def test_the_contract_of_a_task():
    task = code(train=30, validation=10, test=20)
    examples = [example for split in SPLITS for example in task.examples(split)]
    judge_ahead(
        task,
        [task.answer_format.completion("so", example.answer) for example in examples],
        [e.answer for e in examples],
    )
    check_task(task)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_solution_of_a_family_gives_what_was_computed_without_it(family):
    drawn = of_family(family)
    assert drawn
    for item in drawn:
        assert passes(item.answer, item.answer), item.answer
        body, _, _ = item.answer.partition("\n\n\nassert")
        assert ast.parse(body).body[0].name == family.name
        shown = re.search(r"For example, `(.*?)` returns `(.*?)`\. Answer", item.question)
        assert f"assert {shown[1]} == {shown[2]}\n" in item.answer


def test_tests_tell_wrong_programs_from_right_ones():
    """A program that gives the shown example's value always, which most tests do not expect."""
    task = code(train=60)
    caught = []
    for example in task.examples("train"):
        name, argument = re.search(r"`(\w+)\((\w+)\)`", example.question).groups()
        value = re.search(r"returns `(.*?)`\. Answer", example.question)[1]
        caught.append(not task.equal(f"def {name}({argument}):\n    return {value}", example.answer))
    assert sum(caught) >= 59


def test_default_sizes_levels_and_number_of_tests():
    task = code()
    assert [len(task.examples(split)) for split in SPLITS] == [600, 200, 300]
    assert len({example.attributes["family"] for example in task.examples("train")}) == len(FAMILIES) == 32
    easy = code(levels=[1], tests=3, train=40)
    assert {example.attributes["level"] for example in easy.examples("train")} == {1}
    assert {example.answer.count("\nassert ") for example in easy.examples("train")} == {3}


def test_batches_of_predictions():
    task = code(test=3)
    examples = task.examples("test")
    texts = [task.answer_format.completion("so", example.answer) for example in examples]
    texts[1] = "I do not know."
    found = judge_all(task, examples, [Generated(text, len(text), False) for text in texts])
    assert [prediction.correct for prediction in found] == [True, False, True]
    assert [prediction.id for prediction in found] == [example.id for example in examples]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"answer_format": "boxed"}, "programs stand between tags"),
        ({"levels": [4]}, "one or more of 1, 2 and 3"),
        ({"tests": 1}, "`task.options.tests` = 1"),
        ({"levels": [2], "train": 100_000}, "ask for fewer"),
    ],
)
def test_bad_options_are_one_sentence(options, message):
    with pytest.raises(UserError, match=message):
        code(**options).examples("train")
