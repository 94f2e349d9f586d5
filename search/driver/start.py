"""`reward-search init`: a commented configuration with tiny data, which runs as it stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, get_args

from eval.tasks.base import Example, Split, TaskReference
from rewards_generated.errors import UserError, nearest

CONFIG_FILE = "search.yaml"
TEMPLATE = Path(__file__).parents[1] / "config" / "start" / CONFIG_FILE
RECORDS: dict[Split, int] = {"train": 40, "validation": 16, "test": 16}

FILES = "train: train.jsonl, validation: validation.jsonl, test: test.jsonl"
FIELDS = """# Your own questions: one JSON object per line in each of the files, which may not share a question. Without
# `validation` some questions are carved out of train (`validation_size`). Other names of the fields are said by
# `question_field`, `answer_field`$further.
"""
UNABLE = """# What is trained: a hub id or a folder. The embedded policy `testbed` only shows that all fits together: it
# answers none of these questions. Put in your own, such as Qwen/Qwen3-0.6B."""


@dataclass(frozen=True, slots=True)
class Kind:
    about: str
    """First line of the configuration."""
    questions: str
    """Its section on the task."""
    task: str
    """What the examples are taken from."""
    record: Callable[[Example], dict[str, Any]] | None
    """A line of the data; None: the task needs no files."""
    policy: str = UNABLE


def _plain(example: Example) -> dict[str, Any]:
    return {"question": example.question, "answer": example.answer}


def _choices(example: Example) -> dict[str, Any]:
    """Wrong choices are near the right one."""
    right = int(example.answer)
    choices = sorted({right, right + 1, right + 10, max(0, right - 2) if right else 5})
    return {"question": example.question, "choices": [str(choice) for choice in choices], "answer": str(right)}


KINDS = {
    "testbed": Kind(
        "# A search on the embedded testbed: generated word problems and a small policy made for them.",
        "# Generated questions; `jsonl`, `hub`, `gsm8k` and others are listed in docs/tasks.md.\ntask: {name: testbed}",
        "testbed",
        None,
        "# What is trained: a hub id or a folder; `testbed` is the embedded policy.",
    ),
    "maths": Kind(
        "# A search on questions of your own whose answers are numbers.",
        FIELDS.replace("$further", ", a worked solution by `solution_field`")
        + "# `answer_kind: mathematics` compares formulas, `text` words.\n"
        + f"task: {{name: jsonl, options: {{{FILES}, answer_kind: number}}}}",
        "testbed",
        _plain,
        "# What is trained: a hub id or a folder. The embedded policy `testbed` reads these questions alone; put in\n"
        "# your own with yours, such as Qwen/Qwen3-0.6B.",
    ),
    "choice": Kind(
        "# A search on questions of your own with choices.",
        FIELDS.replace("$further", ", `choices_field`")
        + "# The answer is the right choice itself, its letter, or its place from 0 as a number.\n"
        + f"task: {{name: jsonl, options: {{{FILES}, choices_field: choices}}}}",
        "testbed",
        _choices,
    ),
    "code": Kind(
        "# A search on programs to be written, each judged by its tests in the sandbox.",
        FIELDS.replace("$further", ", a worked solution by `solution_field`")
        + "# The answer is a solution followed by its tests, lines such as `assert double(2) == 4`.\n"
        + f"task: {{name: jsonl, options: {{{FILES}, answer_kind: program}}}}",
        "code",
        _plain,
    ),
}
"""What `--task` takes."""


def write_start(kind: str, folder: Path) -> list[Path]:
    """The files written into the folder, which is made. Raises UserError for an unknown kind, and before anything is
    written where one of the files is there already."""
    if kind not in KINDS:
        raise UserError(f"--task {kind!r} is not known: {nearest(kind, KINDS)}")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is no folder; name a folder, or a new one")
    texts = {folder / name: text for name, text in _texts(kind)}
    if there := [str(file) for file in texts if file.exists()]:
        raise UserError(f"{', '.join(there)} would be overwritten; name another folder, or move what is there")
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        file.write_text(text, encoding="utf-8")
    return list(texts)


def _texts(name: str) -> Iterable[tuple[str, str]]:
    kind = KINDS[name]
    fields = {
        "about": kind.about,
        "task": "testbed" if kind.record is None else "jsonl",
        "questions": kind.questions,
        "policy": kind.policy,
        "tokens": "64" if kind.policy == UNABLE else "112",  # as long as the embedded policy's answers are
    }
    yield CONFIG_FILE, Template(TEMPLATE.read_text(encoding="utf-8")).substitute(fields)
    if kind.record is None:
        return
    from eval.tasks.registry import build_task

    task = build_task(TaskReference(name=kind.task))
    for split in get_args(Split):
        lines = [json.dumps(kind.record(example)) for example in task.examples(split, RECORDS[split])]
        yield f"{split}.jsonl", "\n".join(lines) + "\n"
