"""Pairs for fine-tuning: files in both forms, what is refused, and the testbed's traces."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from eval.tasks.base import TaskReference
from eval.tasks.registry import build_task
from rewards_generated.errors import UserError
from trainer.jobs.fine_tune import FineTuneJob, PairSource
from trainer.sft.fine_tune import SftSettings
from trainer.sft.pairs import file_sha256, read_pairs

SETTINGS = SftSettings(steps=1, batch_size=1, learning_rate=1e-3)
TESTBED = TaskReference(name="testbed")


def job(source: PairSource, task: TaskReference = TESTBED, **changes: Any) -> FineTuneJob:
    return FineTuneJob(label="x", base_model="testbed", task=task, source=source, settings=SETTINGS, **changes)


def test_texts_and_chats_are_read_alike(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    chat = {
        "prompt": [{"role": "system", "content": "Add."}, {"role": "user", "content": "1 + 1 \u2028"}],
        "completion": [{"role": "assistant", "content": "2"}],
    }
    lines = [{"prompt": "1 + 2", "completion": "3"}, chat, {"prompt": "never", "completion": "reached"}]
    file.write_text("\n\n".join(json.dumps(line, ensure_ascii=False) for line in lines))
    pairs = read_pairs(job(PairSource(file=str(file), pairs=2)))
    first = {
        "prompt": [{"role": "user", "content": "1 + 2"}],
        "completion": [{"role": "assistant", "content": "3"}],
    }
    assert pairs == [first, chat]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "line 1: this is not JSON"),
        ('{"prompt": "a"}', "needs the fields"),
        ("[1]", "needs the fields"),
        ('{"prompt": "a", "completion": 3}', "completion: expected a text or a list"),
        ('{"prompt": [], "completion": "b"}', "prompt: expected a text or a list"),
        ('{"prompt": [{"role": "robot", "content": "a"}], "completion": "b"}', "every message needs a role"),
        ('{"prompt": [{"role": "assistant", "content": "a"}], "completion": "b"}', "must be of the user"),
        ("\n\n", "it is empty"),
    ],
)
def test_a_bad_file_is_refused_by_line(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text(content)
    with pytest.raises(UserError, match=said):
        read_pairs(job(PairSource(file=str(file))))


def test_a_file_counts_by_its_content(tmp_path: Path) -> None:
    line = '{"prompt": "a", "completion": "b"}\n'
    digests = []
    for name in ("one", "other"):
        (tmp_path / name).write_text(line)
        source = PairSource(file=str(tmp_path / name))
        described = job(source, file_sha256=file_sha256(str(tmp_path / name)))
        assert described.file_sha256 == hashlib.sha256(line.encode()).hexdigest()
        digests.append(described.digest)
    assert digests[0] == digests[1] != job(source, file_sha256="0" * 64).digest
    (tmp_path / "other").write_text(line * 2)
    with pytest.raises(UserError, match="has changed since"):
        read_pairs(described)


def test_traces_are_right_well_formed_and_of_the_train_split() -> None:
    task = build_task(TESTBED)
    pairs = read_pairs(job(PairSource(pairs=120, reflecting=0.5)))
    examples = task.examples("train", 120)
    assert [pair["prompt"][0]["content"] for pair in pairs] == [example.question for example in examples]
    checked = 0
    for pair, example in zip(pairs, examples, strict=True):
        text = pair["completion"][0]["content"]
        assert re.fullmatch(r"<thinking>[^<]*</thinking><solution>\d+</solution>", text)
        assert task.extract(text).strict == example.answer
        checks = len(re.findall("Check|Let me verify", text))
        steps = example.attributes["steps"]
        assert checks in (0, steps)
        checked += checks > 0
    assert 40 <= checked <= 80


@pytest.mark.parametrize(("reflecting", "checked"), [(0.0, 0), (1.0, 30)])
def test_reflection_is_a_share_of_the_traces(reflecting: float, checked: int) -> None:
    texts = [pair["completion"][0]["content"] for pair in read_pairs(job(PairSource(pairs=30, reflecting=reflecting)))]
    assert sum("Check" in text or "verify" in text for text in texts) == checked
    equations = [re.findall(r"(\d+) ([-+*]) (\d+) = (\d+)", text) for text in texts]
    apply = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b}
    wrong = sum(apply[op](int(a), int(b)) != int(c) for found in equations for a, op, b, c in found)
    # Without reflection nothing is ever wrong; with it, carries are forgotten first and mended then.
    assert wrong == 0 if reflecting == 0 else wrong > 10


def test_worked_solutions_of_a_task_are_pairs_in_the_form_of_its_answers() -> None:
    words = TaskReference(name="word-problems", options={"steps": [1, 2], "answer_format": "boxed"})
    task = build_task(words)
    pairs = read_pairs(job(PairSource(pairs=20), words))
    assert len(pairs) == 20
    for pair, example in zip(pairs, task.examples("train", 20), strict=True):
        assert pair["prompt"] == list(example.prompt)
        text = pair["completion"][0]["content"]
        assert str(example.worked_solution) in text
        assert task.extract(text).strict == example.answer


def test_questions_without_a_worked_solution_are_passed_over() -> None:
    some = TaskReference(name="tests.trainer.tiny:build", options={"train": 40, "worked": 3})
    pairs = read_pairs(job(PairSource(pairs=5), some))
    assert [pair["prompt"][0]["content"] for pair in pairs] == [f"0 + {b} = ?" for b in (2, 5, 8)] + [
        "1 + 1 = ?",
        "1 + 4 = ?",
    ]


def test_a_task_without_worked_solutions_is_refused() -> None:
    with pytest.raises(UserError, match="the task 'countdown' has no worked solutions: name a JSONL file"):
        read_pairs(job(PairSource(), TaskReference(name="countdown")))
