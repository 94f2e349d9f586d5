"""The testbed's task: problems that are right, splits that never change and never overlap, extraction, suites."""

from __future__ import annotations

import itertools
import re

import pytest

from eval.tasks.base import TaskReference
from eval.tasks.registry import build_task
from eval.tasks.testbed import build
from eval.tasks.testbed.draws import Draws
from eval.tasks.testbed.problem import ProblemOptions, apply, carry, draw_problem
from eval.tasks.testbed.task import problems
from eval.tasks.testbed.wording import HELD_OUT_SCENES, OTHER_SCENES, SCENES, Scene
from rewards_generated.errors import UserError

SUITES = {
    "depth": {"steps": [5, 6]},
    "length": {"distractors": [2, 3]},
    "surface": {"surface": "other"},
    "templates": {"templates": "held_out"},
    "composition": {"compositions": "held_out"},
}


@pytest.fixture(scope="module")
def task():
    return build({})


def texts_of(scene: Scene) -> list[str]:
    sentences = itertools.chain.from_iterable(scene.sentences.values())
    return [scene.start, scene.question, *scene.distractors, *sentences, *scene.who, *scene.what]


def words(scenes: tuple[Scene, ...]) -> set[str]:
    text = " ".join(text for scene in scenes for text in texts_of(scene))
    return {word.lower() for word in re.findall(r"[A-Za-z]+", re.sub(r"\{\w+\}", " ", text))}


def test_the_registry_builds_it_under_its_name():
    assert build_task(TaskReference(name="testbed")).reference == TaskReference(name="testbed")


def test_splits_have_the_promised_sizes_and_share_no_arithmetic(task):
    splits = {split: task.examples(split) for split in ("train", "validation", "test")}
    assert len(splits["train"]) >= 5000
    assert len(splits["validation"]) >= 1000
    assert len(splits["test"]) >= 2000
    contents = [example.id.rsplit("-", 1)[1] for examples in splits.values() for example in examples]
    assert len(set(contents)) == len(contents)


def test_questions_are_the_same_on_every_machine(task):
    """Written down once; a change of generator, wording or Python that moves a question fails here."""
    first = task.examples("validation", 2)
    assert [(example.id, example.question, example.answer) for example in first] == FIRST_VALIDATION_EXAMPLES


def test_a_limit_takes_the_first_and_nothing_else_changes(task):
    assert list(task.examples("test", 7)) == list(task.examples("test"))[:7]
    assert list(build({"test": 7}).examples("test")) == list(task.examples("test", 7))


def test_answers_follow_from_the_sentences(task):
    """Solves the questions from their text alone, with the wording of each scene as the only key."""
    for example in task.examples("validation", 300):
        scene = next(scene for scene in SCENES if scene.name == example.attributes["family"])
        assert solve(example.question, scene) == int(example.answer)


def solve(question: str, scene: Scene) -> int:
    value = None
    for sentence in re.findall(r"[^.?]+[.?]", question):
        sentence = sentence.strip()
        if matches(scene.start, sentence) and value is None:
            value = int(re.findall(r"\d+", sentence)[0])
            continue
        for operation, templates in scene.sentences.items():
            if any(matches(template, sentence) for template in templates):
                value = apply(operation, value, int(re.findall(r"\d+", sentence)[0]))
                break
        else:
            assert any(matches(template, sentence) for template in (*scene.distractors, scene.question))
    return value


def matches(template: str, sentence: str) -> bool:
    pattern = re.escape(template).replace(r"\{n\}", r"\d+").replace(r"\{who\}", ".+").replace(r"\{what\}", ".+")
    return re.fullmatch(pattern, sentence) is not None


def test_attributes_describe_the_question(task):
    for example in task.examples("validation", 300):
        attributes = example.attributes
        numbers = len(re.findall(r"\d+", example.question))
        assert numbers == 1 + attributes["steps"] + attributes["distractors"]
        assert len(attributes["operations"]) == attributes["steps"]
        assert attributes["steps"] in (2, 3, 4)
        assert attributes["distractors"] in (0, 1)


def test_values_stay_small_and_whole():
    for index in range(300):
        problem = draw_problem(Draws(f"values/{index}"), ProblemOptions())
        value = problem.start
        for operation, number in problem.operations:
            value = apply(operation, value, number)
            assert 1 <= value <= 90


def test_carry_is_what_forgetting_it_costs():
    """Digit by digit, without carrying or borrowing, for every sum and difference below 100."""
    for left, right in itertools.product(range(100), repeat=2):
        tens = left // 10 * 10 + right // 10 * 10
        assert left + right + carry("add", left, right) == tens + (left + right) % 10
        if left >= right:
            without_borrow = (left // 10 - right // 10) * 10 + (left % 10 - right % 10) % 10
            assert left - right + carry("subtract", left, right) == without_borrow
    for left, right in itertools.product(range(100), (2, 3)):
        assert left * right + carry("times", left, right) == left // 10 * right * 10 + left % 10 * right % 10


@pytest.mark.parametrize("name", SUITES)
def test_suites_are_what_they_say_and_share_no_question_with_training(name, task):
    suite = build({**SUITES[name], "test": 150, "validation": 150}).examples("test")
    training = {example.question for example in task.examples("train")}
    assert not training & {example.question for example in suite}
    attributes = [example.attributes for example in suite]
    if name == "depth":
        assert {a["steps"] for a in attributes} == {5, 6}
    if name == "length":
        assert {a["distractors"] for a in attributes} == {2, 3}
    if name == "surface":
        assert {a["family"] for a in attributes} == {scene.name for scene in OTHER_SCENES}
    if name == "templates":
        assert {a["family"] for a in attributes} == {scene.name for scene in HELD_OUT_SCENES}
    pairs = [list(itertools.pairwise(a["operations"])) for a in attributes]
    assert all((("times", "subtract") in pair) == (name == "composition") for pair in pairs)


def test_training_never_uses_the_held_out_composition(task):
    operations = (example.attributes["operations"] for example in task.examples("train"))
    assert not any(("times", "subtract") in itertools.pairwise(sequence) for sequence in operations)


def test_held_out_templates_use_known_words_and_the_other_surface_none_of_them():
    assert words(HELD_OUT_SCENES) <= words(SCENES) | {"now", "in", "there", "are"}
    assert words(OTHER_SCENES) & words(SCENES) <= {"by", "of", "the", "a"}


@pytest.mark.parametrize(
    ("completion", "strict", "flexible"),
    [
        ("<thinking>2 + 3 = 5.</thinking><solution>5</solution>", "5", "5"),
        ("<thinking>x</thinking>\n<solution>\n1,234 </solution>", "1234", "1234"),
        ("<solution>-7</solution>", "-7", "-7"),
        ("<solution>4</solution><solution>5</solution>", "5", "5"),
        ("<thinking>2 + 3 = 5.</thinking> The answer is 5.", None, "5"),
        ("<solution>about 5</solution>", None, "5"),
        ("<solution></solution>", None, None),
        ("<solution>5", None, "5"),
        ("<solution>5.0</solution>", "5", "5"),
        ("no number", None, None),
        ("", None, None),
    ],
)
def test_extraction(task, completion, strict, flexible):
    extraction = task.extract(completion)
    assert (extraction.strict, extraction.flexible) == (strict, flexible)


def test_half_a_number_is_not_an_integer(task):
    assert task.extract("<solution>2.5</solution>").strict is None


def test_equality_is_of_values(task):
    assert task.equal("05", "5")
    assert not task.equal("50", "5")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"stepz": [2]}, "steps"),
        ({"steps": []}, "1 to 8"),
        ({"steps": [0]}, "1 to 8"),
        ({"surface": "french"}, "surface"),
        ({"compositions": "held_out", "steps": [1]}, "two steps"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(options, said):
    with pytest.raises(UserError, match=said):
        build(options)


def test_streams_of_a_use_never_repeat():
    contents = [problem.content for problem in itertools.islice(problems("development", ProblemOptions()), 500)]
    assert len(set(contents)) == 500


FIRST_VALIDATION_EXAMPLES: list[tuple[str, str, str]] = [
    (
        "testbed-validation-98d82a748d7402e5",
        "The farmer keeps 39 sheep. Then 29 more are born. Then 18 run away. How many sheep are on the farm now?",
        "50",
    ),
    (
        "testbed-validation-ad627838c8c5958d",
        "Noah owns 14 stamps. Noah wins 21. Noah trades away 24. That grows 2 times. "
        "How many stamps does Noah own now?",
        "22",
    ),
]
