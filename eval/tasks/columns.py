"""Which fields of a record hold question, answer and choices, for data sets of any form."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import model_validator

from eval.tasks.questions import QuestionOptions
from eval.tasks.records import Question, ReadRecord, require_gold, text_field
from eval.tasks.testbed.draws import Draws
from rewards_generated.answers import AnswerKind
from rewards_generated.answers.extraction import last_boxed


class ColumnOptions(QuestionOptions):
    question_field: str | tuple[str, ...] = "question"
    """Field with the question; the texts of several are joined by a space."""
    answer_field: str = "answer"
    """Field with the gold answer; of a question with choices the right choice, its letter or label, or its place from 0
    as a number."""
    answer_marker: str | None = None
    """The gold answer is what follows the last occurrence of this in the answer field, such as `####`."""
    solution_field: str | None = None
    r"""Field with a worked solution (null where a question has none), for rewards that ask for it. Without an answer
    field in a record the gold answer is its last `\boxed{}`, or what follows `answer_marker`."""
    choices_field: str | tuple[str, ...] | None = None
    """Field with a list of choices (or their `text` and `label`), or several fields with a choice each. They are
    listed below the question by letter, and the letter is the answer."""
    choices_seed: int | None = 0
    """Decides the order of every question's choices; null keeps that of the record."""
    id_field: str | None = None
    """Field with an id of each question; without one, ids are made from the questions' text."""
    attribute_fields: tuple[str, ...] = ()
    """Fields kept with each question that has them, to slice figures by."""
    answer_kind: AnswerKind = "number"
    """How answers are compared: number (by value), mathematics (by math-verify), text (letter by letter, case and
    spaces aside), choice (by the letter of a choice), expression or program (see docs/rewards.md)."""
    description: str = "Questions with one short answer each."
    """Two or three sentences for the proposer's prompt."""

    @model_validator(mode="after")
    def _choices_have_letters(self) -> ColumnOptions:
        if self.choices_field is not None and "answer_kind" in self.model_fields_set and self.answer_kind != "choice":
            raise ValueError("with `choices_field` the answers are letters: leave `answer_kind` out")
        return self

    @property
    def kind(self) -> AnswerKind:
        return "choice" if self.choices_field is not None else self.answer_kind

    @property
    def read_record(self) -> ReadRecord:
        return partial(_read_record, self)


def _read_record(options: ColumnOptions, record: Mapping[str, Any]) -> Question:
    question = " ".join(text_field(record, name, "question_field") for name in _names(options.question_field))
    identifier = text_field(record, options.id_field, "id_field") if options.id_field else None
    attributes = {name: record[name] for name in options.attribute_fields if name in record}
    worked = _worked(options, record)
    if options.choices_field is not None:
        question, gold, content = _with_choices(options, record, question)
        return Question(question, gold, identifier, attributes, worked, content)
    gold = require_gold(_gold(options, record), options.answer_kind, options.answer_field)
    return Question(question, gold, identifier, attributes, worked)


def _worked(options: ColumnOptions, record: Mapping[str, Any]) -> str | None:
    """The worked solution. A field that is usual for the set may be missing, one that the user named may not."""
    name = options.solution_field
    if name is None or ("solution_field" not in options.model_fields_set and name not in record):
        return None
    written = record.get(name, "")
    return None if written is None else text_field(record, name, "solution_field")


def _gold(options: ColumnOptions, record: Mapping[str, Any]) -> str:
    solved = options.solution_field is not None and options.answer_field not in record
    if not solved:
        text, field = text_field(record, options.answer_field, "answer_field"), options.answer_field
    else:
        text, field = text_field(record, str(options.solution_field), "solution_field"), str(options.solution_field)
    if options.answer_marker is not None:
        _, marker, gold = text.rpartition(options.answer_marker)
        if not marker or not gold.strip():
            raise ValueError(f"the field {field!r} has no answer after {options.answer_marker!r}")
        return gold.strip()
    if not solved:
        return text
    boxed = last_boxed(text)
    if boxed is None or not boxed.strip():
        raise ValueError(
            f"there is no field {options.answer_field!r}, and {field!r} has no \\boxed{{...}} to take it from"
        )
    return boxed.strip()


def _with_choices(options: ColumnOptions, record: Mapping[str, Any], question: str) -> tuple[str, str, str]:
    """The question with its choices, the letter of the right one, and what is the same in whatever order they are."""
    texts, labels = _choices(record, options.choices_field or "")
    if not 2 <= len(texts) <= len(string.ascii_uppercase):
        raise ValueError(f"there are {len(texts)} choices where 2 to {len(string.ascii_uppercase)} can have letters")
    if len(set(texts)) < len(texts):
        raise ValueError("two choices are the same")
    right = _right_choice(record, options.answer_field, texts, labels)
    content = "\n".join([question, *sorted(texts)])
    order = list(range(len(texts)))
    if options.choices_seed is not None:
        draws = Draws(f"choices/{options.choices_seed}/{content}")
        order = [order.pop(draws.integer(0, len(order) - 1)) for _ in texts]
    listed = "\n".join(
        f"{letter}) {texts[place]}" for letter, place in zip(string.ascii_uppercase, order, strict=False)
    )
    return (
        f"{question}\n\n{listed}\n\nAnswer with the letter of the right choice.",
        string.ascii_uppercase[order.index(right)],
        content,
    )


def _choices(record: Mapping[str, Any], field: str | tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Their texts, and their labels where the record has some."""
    if not isinstance(field, str):
        return [text_field(record, name, "choices_field") for name in field], []
    if field not in record:
        text_field(record, field, "choices_field")
    found, labels = record[field], []
    if isinstance(found, Mapping) and {"text", "label"} <= set(found):
        found, labels = found["text"], [str(label) for label in found["label"]]
    if isinstance(found, str) or not isinstance(found, Sequence):
        raise ValueError(f"the field {field!r} must hold a list of choices, or their `text` and `label`")
    if labels and len(labels) != len(found):
        raise ValueError(f"the field {field!r} has {len(labels)} labels for {len(found)} choices")
    return [str(text).strip() for text in found], labels


def _right_choice(record: Mapping[str, Any], field: str, texts: list[str], labels: list[str]) -> int:
    gold = text_field(record, field, "answer_field")
    if gold in texts:
        return texts.index(gold)
    known = labels or list(string.ascii_uppercase[: len(texts)])
    if gold in known:
        return known.index(gold)
    if isinstance(record[field], int) and 0 <= record[field] < len(texts):
        return int(record[field])
    raise ValueError(
        f"the gold answer {gold[:60]!r} in {field!r} is none of the choices, nor the letter, label or place of one"
    )


def _names(field: str | tuple[str, ...]) -> tuple[str, ...]:
    return (field,) if isinstance(field, str) else field
