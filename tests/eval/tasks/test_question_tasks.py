import json
from pathlib import Path

import pytest

from eval.tasks.base import TaskReference, examples_of
from eval.tasks.registry import build_task
from rewards_generated.errors import UserError


def write(path: Path, records) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def gsm8k_record(k, gold=None):
    return {"question": f"What is {k} + {k}?", "answer": f"{k}+{k} = <<{k}+{k}={2 * k}>>{2 * k}\n#### {gold or 2 * k}"}


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "train.jsonl", [gsm8k_record(k) for k in range(1, 41)])
    write(tmp_path / "test.jsonl", [gsm8k_record(k, f"{2 * k:,}") for k in range(1000, 1010)])
    return tmp_path


def gsm8k(folder, **options):
    return build_task(TaskReference(name="gsm8k", options={"source": str(folder), "validation_size": 10, **options}))


def test_splits_are_disjoint_and_complete(folder):
    task = gsm8k(folder)
    ids = {split: [e.id for e in task.examples(split)] for split in ("train", "validation", "test")}
    assert [len(ids[split]) for split in ("train", "validation", "test")] == [30, 10, 10]
    assert len(set().union(*ids.values())) == 50


def test_ids_and_order_do_not_depend_on_the_order_of_the_file(folder, tmp_path):
    task = gsm8k(folder)
    lines = (folder / "train.jsonl").read_text().splitlines()
    (folder / "train.jsonl").write_text("\n".join(reversed(lines)) + "\n\n")
    again = gsm8k(folder)
    for split in ("train", "validation"):
        assert task.examples(split) == again.examples(split)


def test_adding_a_question_moves_none_from_train_to_validation_but_at_the_border(folder):
    before = {e.id for e in gsm8k(folder).examples("validation")}
    with (folder / "train.jsonl").open("a") as file:
        file.write(json.dumps(gsm8k_record(99)) + "\n")
    after = {e.id for e in gsm8k(folder).examples("validation")}
    assert len(before - after) <= 1


def test_limit_takes_the_first(folder):
    task = gsm8k(folder)
    assert list(task.examples("train", 5)) == list(task.examples("train"))[:5]
    with pytest.raises(UserError, match="limit = 0"):
        task.examples("train", 0)


def test_drawn_questions_stand_in_the_order_of_the_split(folder):
    task = gsm8k(folder)
    first = task.examples("test")[:3]
    assert examples_of(task, "test", 3, [first[2].id, first[0].id]) == [first[0], first[2]]
    assert examples_of(task, "test", 3, None) == first
    with pytest.raises(UserError, match="lacks 1 of the questions"):
        examples_of(task, "test", 2, [first[2].id, first[0].id])


def test_a_test_split_that_is_not_asked_for_is_not_read(folder):
    (folder / "test.jsonl").unlink()
    task = gsm8k(folder)
    assert task.examples("validation")
    with pytest.raises(UserError, match="no file"):
        task.examples("test")


def test_prompt_asks_for_the_format_of_the_paper(folder):
    example = gsm8k(folder).examples("train")[0]
    system, user = example.prompt
    for tag in ("<thinking>", "</thinking>", "<solution>", "</solution>"):
        assert tag in system["content"]
    assert user["role"] == "user"
    assert example.question == user["content"]


@pytest.mark.parametrize(("form", "marks"), [("answer", ["<think>", "<answer>"]), ("boxed", ["\\boxed{}"])])
def test_other_formats_and_own_system_prompts(folder, form, marks):
    task = gsm8k(folder, answer_format=form)
    for mark in marks:
        assert mark in task.examples("train")[0].prompt[0]["content"]
        assert mark in task.description
    assert gsm8k(folder, system_prompt="Be brief.").examples("train")[0].prompt[0]["content"] == "Be brief."
    assert [m["role"] for m in gsm8k(folder, system_prompt="").examples("train")[0].prompt] == ["user"]


def test_the_whole_way_from_completion_to_verdict(folder):
    task = gsm8k(folder)
    example = next(e for e in task.examples("test") if e.answer == "2004")
    read = task.extract("<thinking>1002+1002</thinking><solution>$2,004.00</solution>")
    assert task.equal(read.strict, example.answer)
    assert not task.equal(task.extract("<solution>2005</solution>").strict, example.answer)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no questions"),
        ("\n\n", "holds no questions"),
        ('{"question": "x", "answer": "#### 1"}\nnot json\n', "line 2 is not JSON"),
        ("[1, 2]\n", "line 1 is not a JSON object"),
        ('{"question": "x"}\n', "line 1: there is no field 'answer', only 'question'"),
        ('{"question": "", "answer": "#### 1"}\n', "'question' is empty"),
        ('{"question": "x", "answer": "no marker"}\n', "no line `#### number`"),
        ('{"question": "x", "answer": "#### many"}\n', "'many' after #### is not a number"),
        ('{"question": ["x"], "answer": "#### 1"}\n', "must hold text, not list"),
        ('{"question": null, "answer": "#### 1"}\n', "must hold text, not NoneType"),
    ],
)
def test_malformed_files_name_file_and_line(folder, content, message):
    (folder / "train.jsonl").write_text(content)
    with pytest.raises(UserError, match=message):
        gsm8k(folder).examples("train")


def test_text_that_is_not_utf8(folder):
    (folder / "train.jsonl").write_bytes(b'{"question": "\xff"}')
    with pytest.raises(UserError, match="UTF-8"):
        gsm8k(folder).examples("train")


def test_validation_larger_than_train(folder):
    with pytest.raises(UserError, match="'validation_size' = 40: train has only 40"):
        gsm8k(folder, validation_size=40).examples("validation")


def test_a_question_in_train_and_test_is_refused(folder):
    write(folder / "test.jsonl", [gsm8k_record(3)])
    task = gsm8k(folder)
    task.examples("train")
    task.examples("validation")
    with pytest.raises(UserError, match="1 questions stand both in"):
        task.examples("test")


def test_the_same_question_twice_counts_once(folder):
    write(folder / "test.jsonl", [gsm8k_record(500), gsm8k_record(500)])
    assert len(gsm8k(folder).examples("test")) == 1


def test_a_missing_folder_is_not_taken_for_a_hub_id():
    with pytest.raises(UserError, match="there is no file"):
        gsm8k("./no/such/folder").examples("train")


def test_math_reads_answer_or_the_boxed_solution(tmp_path):
    write(
        tmp_path / "train.jsonl",
        [
            {"problem": "a", "solution": "so \\boxed{\\frac{1}{2}}", "level": "Level 3", "type": "Algebra"},
            {"problem": "b", "solution": "unused", "answer": "x^2"},
            {"problem": "c", "solution": "\\boxed{1}"},
        ],
    )
    task = build_task(TaskReference(name="math", options={"source": str(tmp_path), "validation_size": 1}))
    examples = {e.question: e for split in ("train", "validation") for e in task.examples(split)}
    assert examples["a"].answer == "\\frac{1}{2}"
    assert examples["a"].attributes == {"level": "Level 3", "type": "Algebra"}
    assert examples["b"].answer == "x^2"
    assert examples["a"].worked_solution == "so \\boxed{\\frac{1}{2}}"
    assert task.equal(task.extract("thus \\boxed{0.5}").strict, examples["a"].answer)


def test_math_without_an_answer_is_refused(tmp_path):
    write(tmp_path / "train.jsonl", [{"problem": "a", "solution": "no box"}])
    task = build_task(TaskReference(name="math", options={"source": str(tmp_path)}))
    with pytest.raises(UserError, match="has no \\\\boxed"):
        task.examples("train")


def test_worked_solutions_of_gsm8k_end_before_the_answer(folder):
    example = gsm8k(folder).examples("train")[0]
    half = int(example.answer) // 2
    assert example.worked_solution == f"{half}+{half} = {2 * half}"  # without the note for a calculator


def test_worked_solutions_of_ones_own_questions_come_from_a_field(tmp_path):
    rows = [{"question": f"{k}?", "answer": str(k), "how": f"so {k}" if k % 2 else None} for k in range(8)]
    for split, part in (("train", rows[:4]), ("test", rows[4:])):
        write(tmp_path / f"{split}.jsonl", part)
    options = {split: str(tmp_path / f"{split}.jsonl") for split in ("train", "test")} | {"validation_size": 1}
    examples = build_task(TaskReference(name="jsonl", options=options | {"solution_field": "how"})).examples("test")
    assert {e.answer: e.worked_solution for e in examples} == {"4": None, "5": "so 5", "6": None, "7": "so 7"}
    without = build_task(TaskReference(name="jsonl", options=options)).examples("test")
    assert {e.worked_solution for e in without} == {None}
    with pytest.raises(UserError, match="there is no field 'hwo'"):
        build_task(TaskReference(name="jsonl", options=options | {"solution_field": "hwo"})).examples("test")


@pytest.fixture
def own(tmp_path):
    rows = [{"q": f"capital {k}", "a": f"reasons >> City {k}", "key": f"k{k}"} for k in range(12)]
    write(tmp_path / "train.jsonl", rows[:8])
    write(tmp_path / "validation.jsonl", rows[8:10])
    write(tmp_path / "test.jsonl", rows[10:])
    options = {split: str(tmp_path / f"{split}.jsonl") for split in ("train", "validation", "test")}
    return options | {
        "question_field": "q",
        "answer_field": "a",
        "id_field": "key",
        "answer_marker": ">>",
        "answer_kind": "text",
    }


def test_own_jsonl(own):
    task = build_task(TaskReference(name="jsonl", options=own))
    assert {e.id for e in task.examples("validation")} == {"k8", "k9"}
    assert len(task.examples("train")) == 8
    example = next(e for e in task.examples("test") if e.id == "k10")
    assert example.answer == "City 10"
    assert task.equal(task.extract("<solution>city 10</solution>").strict, example.answer)


def test_own_ids_must_be_unique(own, tmp_path):
    write(tmp_path / "test.jsonl", [{"q": "x", "a": ">> y", "key": "k1"}, {"q": "z", "a": ">> y", "key": "k1"}])
    with pytest.raises(UserError, match="id 'k1' occurs twice"):
        build_task(TaskReference(name="jsonl", options=own)).examples("test")


def test_a_reference_rebuilds_the_same_task(own):
    task = build_task(TaskReference(name="jsonl", options=own))
    again = build_task(TaskReference.model_validate_json(task.reference.model_dump_json()))
    assert task.examples("train") == again.examples("train")


def test_few_bad_records_are_left_out_and_named_and_many_stop_the_load(folder):
    records = [gsm8k_record(k) for k in range(1, 401)]
    records[6]["answer"] = "no marker"
    records[7]["answer"] = None
    write(folder / "train.jsonl", records)
    task = gsm8k(folder)
    assert len(task.examples("train")) + len(task.examples("validation")) == 398
    first, second = task.notes()
    assert "train.jsonl, line 7: the field 'answer' has no line" in first
    assert "line 8: the field 'answer' must hold text, not NoneType" in second
    for record in records[10:15]:
        record["answer"] = "no marker"
    write(folder / "train.jsonl", records)
    with pytest.raises(UserError, match=r"7 of 400 records of .*train.jsonl cannot be used, such as .*line 7: "):
        gsm8k(folder).examples("train")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "must hold text, not NoneType"),
        (float("nan"), "is nan, which is missing data"),
        ([5], "must hold text, not list"),
        ("nine", "the gold answer 'nine' in 'answer' is not a number: choose another `answer_kind`"),
        ("He has 4 + 5 = 9.\n#### 9", "say with `answer_marker` what stands before the number"),
    ],
)
def test_golds_that_no_answer_can_equal_are_refused_by_line(tmp_path, answer, message):
    write(tmp_path / "train.jsonl", [{"question": "q", "answer": answer}])
    options = {"train": str(tmp_path / "train.jsonl"), "test": str(tmp_path / "train.jsonl")}
    with pytest.raises(UserError, match="line 1: ") as refusal:
        build_task(TaskReference(name="jsonl", options=options)).examples("test")
    assert message in str(refusal.value)


def test_a_format_of_ones_own(folder):
    form = {"reasoning_tag": "plan", "answer_tag": "final", "reasoning_opened": True}
    task = gsm8k(folder, answer_format=form)
    assert task.extract("so</plan><final>7</final>").strict == "7"
    assert "<plan> already" in task.description
    assert "<final>" in task.examples("train")[0].prompt[0]["content"]
    for wrong, message in (
        ({"reasoning_tag": "plan", "answer_tag": "plan"}, "must differ"),
        ({"answer_tag": "<final>"}, "is no tag"),
        ({"tag": "final"}, "'tag' is no field of an answer format"),
        ({"answer_tag": "final", "reasoning_opened": True}, "no reasoning_tag that could be open"),
    ):
        with pytest.raises(UserError, match=message):
            gsm8k(folder, answer_format=wrong)


def test_golds_that_math_verify_cannot_read_are_counted(tmp_path):
    records = [{"problem": f"p{k}", "answer": str(k)} for k in range(10)]
    write(tmp_path / "train.jsonl", [*records, {"problem": "q", "answer": "\\leq 5"}])
    task = build_task(TaskReference(name="math", options={"source": str(tmp_path), "validation_size": 1}))
    task.examples("train")
    assert [note.partition(" cannot be read")[0] for note in task.notes()] in (
        ["1 of 10 gold answers looked at in train"],
        ["1 of 1 gold answers looked at in validation"],
    )


def test_a_box_without_braces_holds_the_gold_answer(tmp_path):
    write(tmp_path / "train.jsonl", [{"problem": "p", "solution": "so the sum is $\\boxed 7$."}] * 2)
    write(tmp_path / "test.jsonl", [{"problem": "p", "solution": "so the sum is $\\boxed 7$."}])
    task = build_task(TaskReference(name="math", options={"source": str(tmp_path)}))
    assert task.examples("test")[0].answer == "7"
