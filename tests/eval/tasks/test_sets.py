import json
import string

import pytest

from eval.tasks.base import TaskReference
from eval.tasks.conformance import check_task
from eval.tasks.registry import build_task
from rewards_generated.answers import is_right
from rewards_generated.errors import UserError

SPLITS = ("train", "validation", "test")


def task(name, **options):
    return build_task(TaskReference(name=name, options=options))


@pytest.fixture
def on_the_hub(monkeypatch):
    """Puts records on a hub of our own: {(id, config, split): records}."""
    there = {}

    def load_dataset(name, config=None, split=None):
        if (name, config, split) not in there:
            raise ValueError(f"Unknown split {split!r} of {name} {config}")
        return there[name, config, split]

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    return there


def math_500(k):
    return {
        "problem": f"What is $\\frac{{{k}}}{{7}}$ of seven?",
        "solution": f"It is $\\boxed{{{k}}}$.",
        "answer": str(k),
        "subject": "Algebra",
        "level": 1 + k % 5,
        "unique_id": f"test/algebra/{k}.json",
    }


def gpqa(k):
    return {
        "Pre-Revision Question": "not this one",
        "Question": f"Which particle of kind {k} is it?",
        "Correct Answer": f"the right one, {k}\n",
        "Incorrect Answer 1": "an electron",
        "Incorrect Answer 2": "a muon",
        "Incorrect Answer 3": "a tau",
        "High-level domain": "Physics",
        "Subdomain": "Particle physics",
        "Record ID": f"rec{k}",
    }


def aime_24(k):
    return {"id": 60 + k, "problem": f"Find {k} and a half, doubled.", "solution": "Easy.", "answer": f"{2 * k + 1:03}"}


def aime_25(k):
    return {"problem": f"Find {k} squared.", "answer": str(k * k), "id": str(k)}


def svamp(k):
    return {
        "ID": f"chal-{k}",
        "Body": f"Dan has {k} apples and eats one",
        "Question": "How many are left?",
        "Equation": f"( {k}.0 - 1.0 )",
        "Answer": f"{k - 1}.0",
        "Type": "Subtraction",
    }


@pytest.fixture
def every_set(on_the_hub):
    on_the_hub["HuggingFaceH4/MATH-500", None, "test"] = [math_500(k) for k in range(500)]
    on_the_hub["Idavidrein/gpqa", "gpqa_diamond", "train"] = [gpqa(k) for k in range(198)]
    on_the_hub["HuggingFaceH4/aime_2024", None, "train"] = [aime_24(k) for k in range(30)]
    on_the_hub["math-ai/aime25", None, "test"] = [aime_25(k) for k in range(30)]
    on_the_hub["ChilleD/SVAMP", None, "train"] = [svamp(k) for k in range(2, 702)]
    on_the_hub["ChilleD/SVAMP", None, "test"] = [svamp(k) for k in range(702, 1002)]
    on_the_hub["DigitalLearningGmbH/MATH-lighteval", None, "train"] = [
        {
            "problem": f"Train on {k}.",
            "solution": f"So $\\boxed{{\\frac{{{k}}}{{11}}}}$.",
            "level": "Level 2",
            "type": "Algebra",
        }
        for k in range(700)
    ]
    on_the_hub["DigitalLearningGmbH/MATH-lighteval", None, "test"] = [{"problem": "t", "solution": "\\boxed{1}"}]
    return on_the_hub


@pytest.mark.parametrize(
    ("name", "questions"), [("math-500", 500), ("gpqa-diamond", 198), ("aime24", 30), ("aime25", 30), ("svamp", 1000)]
)
def test_every_question_of_a_set_is_in_one_split(every_set, name, questions):
    made = task(name)
    check_task(made)
    ids = [example.id for split in SPLITS for example in made.examples(split)]
    assert len(ids) == len(set(ids)) == questions


def test_fields_of_the_known_sets(every_set):
    found = {example.id: example for split in SPLITS for example in task("math-500").examples(split)}
    assert found["test/algebra/8.json"].answer == "8"
    assert found["test/algebra/8.json"].worked_solution == "It is $\\boxed{8}$."
    assert task("aime25").examples("test")[0].worked_solution is None
    assert found["test/algebra/8.json"].attributes == {"subject": "Algebra", "level": 4}
    example = task("svamp").examples("test")[0]
    assert example.question.endswith("apples and eats one How many are left?")
    assert example.attributes == {"Type": "Subtraction"}
    assert task("svamp").equal(task("svamp").extract("<solution>801</solution>").strict, "801.0")
    aime = task("aime24")
    gold = {example.question: example.answer for example in aime.examples("test")}
    assert all(aime.equal("\\boxed{" + str(int(answer)) + "}", answer) for answer in gold.values())


def test_a_set_with_one_split_is_divided_by_content_and_says_so(every_set):
    made = task("math-500")
    sizes = [len(made.examples(split)) for split in SPLITS]
    for size, share in zip(sizes, (0.4, 0.2, 0.4), strict=True):
        assert abs(size - 500 * share) < 45  # four standard deviations
    assert "hash of every question (seed 0)" in made.description
    assert "40% train, 20% validation" in made.description
    before = {example.id: split for split in SPLITS for example in made.examples(split)}
    records = every_set["HuggingFaceH4/MATH-500", None, "test"]
    every_set["HuggingFaceH4/MATH-500", None, "test"] = [math_500(1000), *reversed(records)]
    again = task("math-500")
    after = {example.id: split for split in SPLITS for example in again.examples(split)}
    assert {id: after[id] for id in before} == before
    other = task("math-500", division_seed=1)
    assert {example.id for example in other.examples("test")} != {id for id, split in before.items() if split == "test"}
    larger = task("math-500", train_share=0.7, validation_share=0.1)
    assert len(larger.examples("train")) > 300
    with pytest.raises(UserError, match=r"make 1 or more: leave something for test"):
        task("math-500", train_share=0.7, validation_share=0.3)


def test_another_set_to_train_on(every_set):
    made = task("math-500", train_on={"name": "math", "options": {"validation_size": 50}})
    check_task(made)
    assert [len(made.examples(split)) for split in SPLITS] == [650, 50, 500]
    assert made.examples("train")[0].question.startswith("Train on")
    assert "train and validation are those of math" in made.description
    assert task("aime25", train_on={"name": "aime24"}).examples("train")[0].question.endswith("doubled.")


def test_the_set_to_train_on_is_asked_in_the_same_format(every_set):
    made = task("math-500", answer_format="answer", train_on={"name": "math"})
    assert {made.examples(split)[0].prompt[0]["content"] for split in SPLITS} == {
        task("math-500", answer_format="answer").examples("test")[0].prompt[0]["content"]
    }
    with pytest.raises(UserError, match=r"'testbed' is answered as .*give both the same `answer_format`"):
        task("math-500", train_on={"name": "testbed"})
    with pytest.raises(UserError, match="'gpqa-diamond' has answers of the kind 'choice', not 'number'"):
        task("svamp", train_on={"name": "gpqa-diamond"})


def test_a_question_of_the_test_set_may_not_be_trained_on(every_set):
    every_set["DigitalLearningGmbH/MATH-lighteval", None, "train"].append(math_500(3))
    made = task("math-500", train_on={"name": "math"})
    made.examples("test")
    with pytest.raises(UserError, match="1 questions stand both in test and in"):
        [made.examples(split) for split in ("train", "validation")]


def test_choices_are_shuffled_by_a_seed_and_answered_by_letter(every_set):
    made = task("gpqa-diamond")
    examples = [example for split in SPLITS for example in made.examples(split)]
    letters = [example.answer for example in examples]
    assert {letter: 25 < letters.count(letter) < 75 for letter in "ABCD"} == dict.fromkeys("ABCD", True)
    for example in examples:
        k = example.id.removeprefix("rec")
        assert f"\n{example.answer}) the right one, {k}\n" in example.question
        assert is_right(made, made.answer_format.completion("so", f"({example.answer})"), example.answer)
    other = {
        example.id: example for split in SPLITS for example in task("gpqa-diamond", choices_seed=1).examples(split)
    }
    assert sum(other[example.id].answer != example.answer for example in examples) > 100
    assert [example.id for example in task("gpqa-diamond", choices_seed=1).examples("test")] == [
        example.id for example in made.examples("test")
    ], "the order of choices decides no split"
    kept = task("gpqa-diamond", choices_seed=None)
    assert {example.answer for example in kept.examples("test")} == {"A"}


def write(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


@pytest.mark.parametrize(
    ("record", "answer"),
    [
        ({"question": "q", "options": ["x", "y", "z"], "answer": 2}, "z"),
        ({"question": "q", "options": ["x", "y", "z"], "answer": "B"}, "y"),
        ({"question": "q", "options": ["x", "y", "z"], "answer": "x"}, "x"),
        ({"question": "q", "options": {"text": ["x", "y"], "label": ["1", "2"]}, "answer": "2"}, "y"),
    ],
)
def test_forms_of_choices(tmp_path, record, answer):
    source = write(tmp_path / "all.jsonl", [record])
    made = task(
        "hub", source=source, splits={"test": "all"}, choices_field="options", train_on={"name": "gpqa-diamond"}
    )
    (example,) = made.examples("test")
    assert f"{example.answer}) {answer}\n" in example.question
    assert example.answer in string.ascii_uppercase


@pytest.mark.parametrize(
    ("record", "options", "message"),
    [
        ({"prompt": "q", "answer": "1"}, {}, "no field 'question', only 'prompt', 'answer': .*option `question_field`"),
        ({"question": "q", "reply": "1"}, {}, "no field 'answer', only 'question', 'reply': .*option `answer_field`"),
        ({"question": "q", "answer": "1"}, {"id_field": "key"}, "no field 'key', .*option `id_field`"),
        ({"question": "q", "answer": "1"}, {"choices_field": "options"}, "no field 'options', .*`choices_field`"),
        ({"question": "q"}, {"solution_field": "work"}, "no field 'work', .*option `solution_field`"),
        ({"question": "q", "work": "6"}, {"solution_field": "work"}, "no field 'answer', and 'work' has no .boxed"),
        ({"question": "q", "o": ["x", "y"], "answer": "C"}, {"choices_field": "o"}, "'C' in 'answer' is none of the"),
        ({"question": "q", "o": ["x", "x"], "answer": "A"}, {"choices_field": "o"}, "two choices are the same"),
        ({"question": "q", "o": ["x"], "answer": "A"}, {"choices_field": "o"}, "there are 1 choices"),
        ({"question": "q", "o": "x, y", "answer": "A"}, {"choices_field": "o"}, "must hold a list of choices"),
        ({"question": "q", "answer": "seven"}, {"answer_kind": "choice"}, "no letter: name the choices"),
        ({"question": "q", "answer": "x"}, {"answer_kind": "expression"}, "is no expression of whole numbers"),
        ({"question": "q", "answer": "x = 1"}, {"answer_kind": "program"}, "has no line `assert"),
    ],
)
def test_a_field_that_is_not_there_is_named_with_the_option_that_maps_it(tmp_path, record, options, message):
    source = write(tmp_path / "all.jsonl", [record])
    with pytest.raises(UserError, match=message):
        task("hub", source=source, splits={"test": "all"}, **options).examples("test")


def test_columns_of_any_set(tmp_path):
    write(tmp_path / "learn.jsonl", [{"q": f"Number {k}?", "work": f"... so {k}", "group": "g"} for k in range(20)])
    write(tmp_path / "exam.jsonl", [{"q": "Number 99?", "work": "... so 99"}])
    made = task(
        "hub",
        source=str(tmp_path),
        splits={"train": "learn", "test": "exam"},
        question_field="q",
        solution_field="work",
        answer_marker="so",
        attribute_fields=["group"],
        validation_size=5,
    )
    check_task(made)
    assert made.examples("train")[0].attributes == {"group": "g"}
    assert made.examples("test")[0].answer == "99"
    assert [path.name for path in made.files()] == ["learn.jsonl", "exam.jsonl"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hub", {}, "`task.options.source` is missing from task 'hub'"),
        ("hub", {"source": "a/b", "splits": {}}, "`task.options.splits`"),
        ("hub", {"source": "a/b", "choices_field": "o", "answer_kind": "text"}, "leave `answer_kind` out"),
        ("svamp", {"sauce": "x"}, "has no field 'sauce'; did you mean 'source'"),
        (
            "aime24",
            {"splits": {"train": "a", "validation": "b"}, "train_on": {"name": "math"}},
            "say in `splits` which",
        ),
    ],
)
def test_bad_options_are_one_sentence(name, options, message):
    with pytest.raises(UserError, match=message):
        task(name, **options)


def test_a_split_that_the_hub_does_not_have_is_one_sentence(on_the_hub):
    with pytest.raises(UserError, match=r"'a/b' cannot be loaded from the hub .*Unknown split"):
        task("hub", source="a/b").examples("train")
