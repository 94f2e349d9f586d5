"""A user's own questions: JSONL files, one per split, named in the config."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from eval.tasks.base import Split, TaskReference
from eval.tasks.questions import Question, QuestionTask, Source
from eval.tasks.records import read_jsonl, text_field
from rewards_generated.answers import ANSWER_FORMATS
from rewards_generated.validation import read_options


class JsonlOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    train: str
    """Path of the training questions."""
    test: str
    """Path of the questions that stay sealed to the end."""
    validation: str | None = None
    """Path of the questions to rank on; without one, `validation_size` questions are carved out of train."""
    validation_size: int = Field(500, ge=1)
    question_field: str = "question"
    answer_field: str = "answer"
    id_field: str | None = None
    """Field with an id of each question; without one, ids are made from the questions' text."""
    answer_marker: str | None = None
    """The gold answer is what follows the last occurrence of this in the answer field, such as `####`."""
    answer_kind: Literal["number", "mathematics", "text"] = "number"
    """How answers are compared: by value, by math-verify, or letter by letter (case and spaces aside)."""
    answer_format: Literal["solution", "answer", "boxed"] = "solution"
    """`<thinking>`/`<solution>` tags, `<think>`/`<answer>` tags, or `\\boxed{}`."""
    system_prompt: str | None = None
    """Instead of the one that asks for the answer format; an empty text leaves it out."""
    description: str = "Questions with one short answer each."
    """Two or three sentences for the proposer's prompt."""


def build(options: Mapping[str, Any]) -> QuestionTask:
    chosen = read_options(JsonlOptions, options, "task.options", "task 'jsonl'")
    read_record = partial(_question, chosen)
    paths: dict[Split, str] = {"train": chosen.train, "test": chosen.test}
    if chosen.validation is not None:
        paths["validation"] = chosen.validation
    sources: dict[Split, Source] = {
        split: partial(read_jsonl, Path(path).expanduser(), read_record) for split, path in paths.items()
    }
    form = ANSWER_FORMATS[chosen.answer_format]
    return QuestionTask(
        reference=TaskReference(name="jsonl", options=dict(options)),
        sources=sources,
        description=f"{chosen.description} Expected form of a completion: {form.words}.",
        answer_format=chosen.answer_format,
        answer_kind=chosen.answer_kind,
        validation_size=chosen.validation_size,
        system_prompt=chosen.system_prompt,
    )


def _question(options: JsonlOptions, record: Mapping[str, Any]) -> Question:
    gold = text_field(record, options.answer_field)
    if options.answer_marker is not None:
        _, marker, gold = gold.rpartition(options.answer_marker)
        gold = gold.strip()
        if not marker or not gold:
            raise ValueError(f"the field {options.answer_field!r} has no answer after {options.answer_marker!r}")
    identifier = text_field(record, options.id_field) if options.id_field else None
    return Question(text_field(record, options.question_field), gold, identifier)
