"""A user's own questions: JSONL files, one per split, named in the config."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from eval.tasks.base import Split, TaskReference
from eval.tasks.questions import QuestionOptions, QuestionTask, Source
from eval.tasks.records import JsonlFile, Question, require_gold, text_field
from rewards_generated.answers import AnswerKind
from rewards_generated.validation import read_options


class JsonlOptions(QuestionOptions):
    train: str
    """Path of the training questions."""
    test: str
    """Path of the questions that stay sealed to the end."""
    validation: str | None = None
    """Path of the questions to rank on; without one, `validation_size` questions are carved out of train."""
    question_field: str = "question"
    answer_field: str = "answer"
    id_field: str | None = None
    """Field with an id of each question; without one, ids are made from the questions' text."""
    solution_field: str | None = None
    """Field with the worked solution, for rewards that ask for it; null where a question has none."""
    answer_marker: str | None = None
    """The gold answer is what follows the last occurrence of this in the answer field, such as `####`."""
    answer_kind: AnswerKind = "number"
    """How answers are compared: by value, by math-verify, or letter by letter (case and spaces aside)."""
    description: str = "Questions with one short answer each."
    """Two or three sentences for the proposer's prompt."""


def build(options: Mapping[str, Any]) -> QuestionTask:
    chosen = read_options(JsonlOptions, options, "task.options", "task 'jsonl'")
    read_record = partial(_question, chosen)
    paths: dict[Split, str] = {"train": chosen.train, "test": chosen.test}
    if chosen.validation is not None:
        paths["validation"] = chosen.validation
    sources: dict[Split, Source] = {
        split: JsonlFile(Path(path).expanduser(), read_record) for split, path in paths.items()
    }
    return QuestionTask(
        reference=TaskReference(name="jsonl", options=dict(options)),
        sources=sources,
        description=chosen.description,
        answer_kind=chosen.answer_kind,
        options=chosen,
    )


def _question(options: JsonlOptions, record: Mapping[str, Any]) -> Question:
    gold = text_field(record, options.answer_field)
    if options.answer_marker is not None:
        _, marker, gold = gold.rpartition(options.answer_marker)
        gold = gold.strip()
        if not marker or not gold:
            raise ValueError(f"the field {options.answer_field!r} has no answer after {options.answer_marker!r}")
    identifier = text_field(record, options.id_field) if options.id_field else None
    require_gold(gold, options.answer_kind, options.answer_field)
    worked = None
    if options.solution_field and record.get(options.solution_field, "") is not None:
        worked = text_field(record, options.solution_field)
    return Question(text_field(record, options.question_field), gold, identifier, worked_solution=worked)
