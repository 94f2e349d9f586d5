import pytest

from eval.tasks.base import TaskReference
from eval.tasks.conformance import check_task
from eval.tasks.registry import build_task
from rewards_generated.answers import ANSWER_FORMATS, AnswerFormat, is_right
from rewards_generated.base import base_rewards
from rewards_generated.errors import UserError

MADE = "tests.eval.tasks.environments.made"
SPLITS = ("train", "validation", "test")


def task(function="load_environment", correctness="correct_answer", **options):
    options = {"environment": f"{MADE}:{function}", "correctness": correctness, **options}
    return build_task(TaskReference(name="verifiers", options=options))


def test_questions_parser_and_verdict_are_the_environments():
    made = task(arguments={"size": 100})
    check_task(made)
    assert [example.question for example in made.examples("test")] != []
    assert {int(e.answer) for e in made.examples("test")} == set(range(101, 121))
    train, validation = ({int(e.answer) for e in made.examples(split)} for split in SPLITS[:2])
    assert train | validation == set(range(1, 101))
    assert not train & validation
    assert 8 <= len(validation) <= 36
    assert made.answer_format == AnswerFormat("think", "answer")
    example = made.examples("train")[0]
    assert example.prompt[0] == {"role": "system", "content": "Use <think> and <answer>."}
    right, wrong = (made.answer_format.completion("so", text) for text in (example.answer, "-1"))
    assert made.extract(right).strict == example.answer
    assert made.extract("no tags").strict is None
    assert [is_right(made, text, example.answer) for text in (right, wrong, "no tags")] == [True, False, False]
    reward = base_rewards(made)["answer_check"]
    assert [reward("", text, example.answer) for text in (right, wrong, "no tags")] == [3.0, -1.5, 0.0]


def test_the_verdict_is_on_the_completion_as_it_was_written():
    """`brief` looks at the length of the whole completion, which the parsed answer does not show."""
    made = task(correctness="brief")
    example = made.examples("test")[0]
    short, long = (f"{text}<answer>{example.answer}</answer>" for text in ("", "so " * 20))
    assert is_right(made, short, example.answer)
    assert not is_right(made, long, example.answer)
    lenient = task(correctness="brief", right_from=0.25)
    assert is_right(lenient, long, example.answer)


def test_questions_with_the_same_answer_share_a_gold_unless_the_verdict_looks_at_more():
    plain = task("same_answers")
    assert {example.answer for example in plain.examples("train")} == {"yes"}
    looking = task("same_answers", "looks_at_the_state")
    example, other = looking.examples("train", 2)
    assert example.answer != other.answer
    own, others = (f"<answer>{item.question.split()[1]}</answer>" for item in (example, other))
    assert is_right(looking, own, example.answer)
    assert not is_right(looking, others, example.answer)


def test_a_function_gets_what_its_own_rubric_holds():
    made = task(correctness="knows_its_rubric")
    example = made.examples("test")[0]
    assert is_right(made, "<answer>8</answer>", example.answer)
    assert not is_right(made, "<answer>7</answer>", example.answer)


def test_golds_that_do_not_tell_questions_apart_hold_what_the_verdict_depends_on():
    made = task("by_info", "matches_info")
    examples = [example for split in SPLITS for example in made.examples(split)]
    assert len({example.answer for example in examples}) == 40
    for example in examples:
        word = example.question.removeprefix("Say ")
        assert is_right(made, f"<answer>{word}</answer>", example.answer)
        assert not is_right(made, "<answer>w99.</answer>", example.answer)
    assert any("its own gold answer, such as '{" in note for note in made.notes())
    check_task(made)
    with pytest.raises(UserError, match=r"'w1\.' is no gold answer of the environment"):
        made.equal("w1.", "w1.")


@pytest.mark.parametrize("options", [{"arguments": {"evaluated": False}}, {"function": "only_evaluated"}])
def test_an_environment_with_one_dataset_is_divided(options):
    made = task(**options)
    check_task(made)
    sizes = [len(made.examples(split)) for split in SPLITS]
    assert sum(sizes) == 60
    assert min(sizes) > 2
    again = task(division_seed=1, **options)
    assert [e.id for e in again.examples("test")] != [e.id for e in made.examples("test")]


def test_questions_of_the_test_are_not_trained_on():
    made = task("overlapping")
    assert {int(e.answer) for e in made.examples("test")} == set(range(51, 71))
    assert {int(e.answer) for split in SPLITS[:2] for e in made.examples(split)} == set(range(1, 51))


def test_options():
    made = task(questions=10, system_prompt="Be brief.", answer_format="solution", description="Sums.")
    assert len(made.examples("test")) == 10
    assert made.examples("test")[0].prompt[0]["content"] == "Be brief."
    assert made.answer_format == ANSWER_FORMATS["solution"]
    assert made.description.startswith("Sums. Expected form of a completion: <thinking>")
    assert [m["role"] for m in task(system_prompt="").examples("test")[0].prompt] == ["user"]
    assert [path.name for path in made.files()] == ["made.py"]
    assert "an exported answer_check" in made.notes()[0]


def test_an_environment_without_a_parser_judges_whole_completions():
    with pytest.raises(UserError, match=r"no parser that tells .* `answer_format`"):
        task("without_parser")
    made = task("without_parser", "brief", answer_format="answer")
    example = made.examples("test")[0]
    assert made.extract(f"so {example.answer}").strict == f"so {example.answer}"
    assert is_right(made, f"so {example.answer}", example.answer)
    assert made.extract("  ").strict is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"correctness": "exact"},
            "no such function, only brief, correct_answer, fails, gives_words, knows_its_rubric, looks",
        ),
        ({"function": "several_turns"}, "is no environment of a single turn"),
        ({"function": "unreadable"}, "reads no known format: name one with the option `answer_format`"),
        ({"function": "something_else"}, "gave dict, which is no environment of verifiers and no taskset"),
        ({"function": "no_such"}, "has no function 'no_such'"),
        ({"arguments": {"sise": 3}}, "`task.options.arguments.sise` is unknown"),
        ({"environment": "vf-gsm8k"}, "`task.options.environment` = 'vf-gsm8k'"),
        ({"environment": "no_such_package:load_environment"}, "no module 'no_such_package'"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(options, message):
    with pytest.raises(UserError, match=message):
        task(**options)


@pytest.mark.parametrize(
    ("correctness", "message"),
    [
        ("needs_more", "needs_more needs 'runtime', which a completion alone does not give"),
        ("fails", "fails raised KeyError: 'no such thing'"),
        ("gives_words", "gives_words gave str, not a number"),
        ("matches_info", "matches_info raised KeyError: 'word'"),
    ],
)
def test_a_verdict_that_fails_is_no_wrong_answer(correctness, message):
    made = task(correctness=correctness)
    with pytest.raises(UserError, match=message):
        made.equal("1", made.examples("test")[0].answer)
