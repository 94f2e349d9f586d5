"""Predictions from files: what is read, and what is refused with the file, the line and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.prediction_file import read_answers
from rewards_generated.errors import UserError


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def right(question: object, correct: object = True, **more: object) -> dict[str, object]:
    return {"id": question, "correct": correct, **more}


def refusal(*files: Path) -> str:
    with pytest.raises(UserError) as refused:
        read_answers(files)
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_questions_are_lined_up_whatever_their_order(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", right("x"), right("y", False), right("z"))
    b = write(tmp_path / "b.jsonl", right("z", False), right("x"), "", right("y"))
    found = read_answers([a, b])
    assert list(found) == ["a", "b"]
    assert found["a"].correct.tolist() == [[True, False, True]]
    assert found["b"].correct.tolist() == [[True, True, False]]
    assert found["a"].answered is None
    assert found["a"].seeds == (0,)


def test_seeds_become_rows_and_other_fields_are_ignored(tmp_path: Path) -> None:
    a = write(
        tmp_path / "a.jsonl",
        right("x", True, seed=5, answered=True, completion="..."),
        right("y", False, seed=5, answered=False),
        right("y", True, seed=2, answered=True),
        right("x", False, seed=2, answered=True),
    )
    b = write(tmp_path / "b.jsonl", right("x"), right("y"))
    found = read_answers([a, b])["a"]
    assert found.seeds == (2, 5)
    assert found.correct.tolist() == [[False, True], [True, False]]
    assert found.answered is not None
    assert found.answered.tolist() == [[True, True], [True, False]]


def test_a_number_and_its_text_name_the_same_question(tmp_path: Path) -> None:
    found = read_answers([write(tmp_path / "a.jsonl", right(7)), write(tmp_path / "b.jsonl", right("7", False))])
    assert found["b"].correct.tolist() == [[False]]


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    files = [write(tmp_path / folder / "test.jsonl", right("x")) for folder in ("one", "two")]
    assert list(read_answers(files)) == [str(file) for file in files]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("3", "not a JSON object"),
        ('{"correct": true}', "`id` is missing"),
        ('{"id": "", "correct": true}', '`id` is ""'),
        ('{"id": true, "correct": true}', "`id` is true"),
        ('{"id": ["x"], "correct": true}', '`id` is ["x"]'),
        ('{"id": "y"}', "`correct` is missing"),
        ('{"id": "y", "correct": 1}', "`correct` is 1"),
        ('{"id": "y", "correct": "true"}', '`correct` is "true"'),
        ('{"id": "y", "correct": null}', "`correct` is null"),
        ('{"id": "y", "correct": true, "answered": "yes"}', '`answered` is "yes"'),
        ('{"id": "y", "correct": true, "answered": false}', "must have been answered"),
        ('{"id": "y", "correct": true, "answered": true, "seed": 1.5}', "`seed` is 1.5"),
        ('{"id": "y", "correct": true}', "`answered` must stand on every line"),
        ('{"id": "y", "correct": true, "answered": true, "seed": 3}', "`seed` must stand on every line"),
        ('{"id": "x", "correct": true, "answered": true}', "on line 1 already"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    first = '{"id": "x", "correct": true, "answered": true}'
    bad = write(tmp_path / "bad.jsonl", first, "", line)
    message = refusal(write(tmp_path / "good.jsonl", right("x")), bad)
    assert said in message
    assert f"{bad}, line 3" in message


def test_the_same_question_for_two_seeds_is_no_duplicate_but_for_one_it_is(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", right("x", seed=1), right("x", seed=2), right("x", seed=1))
    message = refusal(a, write(tmp_path / "b.jsonl", right("x")))
    assert f"{a}, line 3" in message
    assert "for seed 1 on line 1" in message


def test_a_question_that_is_missing_is_named_with_its_line(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.jsonl", right("x"), right("y")), write(tmp_path / "b.jsonl", right("x"))
    message = refusal(a, b)
    assert f"{b} has no prediction for question 'y' of {a}, line 2" in message


def test_a_question_too_many_is_named_with_its_line(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.jsonl", right("x")), write(tmp_path / "b.jsonl", right("x"), right("y"))
    assert f"{b}, line 2: question 'y' has no prediction in {a}" in refusal(a, b)


def test_every_seed_must_have_answered_the_same(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", right("x", seed=1), right("y", seed=1), right("x", seed=2))
    assert "(seed 2) has no prediction for question 'y'" in refusal(a, write(tmp_path / "b.jsonl", right("x")))


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_file(tmp_path: Path, text: str) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text(text)
    assert f"{empty} holds no predictions" in refusal(write(tmp_path / "a.jsonl", right("x")), empty)


def test_one_file_only_or_none_or_twice_the_same(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", right("x"))
    assert f"only {a} was given" in refusal(a)
    assert "none was given" in refusal()
    assert f"{a} is given twice" in refusal(a, a)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", right("x"))
    assert "cannot be read: No such file" in refusal(a, tmp_path / "none.jsonl")
    assert "cannot be read: Is a directory" in refusal(a, tmp_path)
    (tmp_path / "latin.jsonl").write_bytes('{"id": "é", "correct": true}'.encode("latin-1"))
    assert "is not UTF-8" in refusal(a, tmp_path / "latin.jsonl")
