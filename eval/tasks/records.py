"""Question-answer records from JSONL files and from data sets of the hub."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from eval.hub import quiet_hub
from eval.tasks.base import Split
from rewards_generated.answers import AnswerKind, parse_number
from rewards_generated.answers.choice import letter_of
from rewards_generated.answers.expression import parse_expression
from rewards_generated.answers.programs import read_tests
from rewards_generated.errors import UserError
from rewards_generated.json_lines import json_lines

UNUSABLE_SHARE = 0.01
"""A split of which more records cannot be used is not loaded."""
FORM = '{"question": "...", "answer": "..."}'


@dataclass(frozen=True, slots=True)
class Question:
    """One record, read and checked. `id` is None where the source has none: one is made from the content."""

    question: str
    answer: str
    id: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)
    worked_solution: str | None = None
    own_content: str | None = None

    @property
    def content(self) -> str:
        """What tells it from other questions: its text, or what that was made of in one of several ways."""
        return self.question if self.own_content is None else self.own_content


@dataclass(frozen=True, slots=True)
class Records:
    """Of one split. `unusable`: a sentence for each record that was left out, with its place and why."""

    questions: tuple[Question, ...]
    unusable: tuple[str, ...] = ()


ReadRecord = Callable[[Mapping[str, Any]], Question]
"""Makes a question of one record; raises ValueError saying what is wrong with it."""


@dataclass(frozen=True, slots=True)
class JsonlFile:
    """A split in a file, read when it is called; see `read_jsonl`."""

    path: Path
    read_record: ReadRecord

    def __call__(self) -> Records:
        return read_jsonl(self.path, self.read_record)


def split_sources(
    source: str, config: str | None, splits: Mapping[Split, str], read_record: ReadRecord
) -> dict[Split, Callable[[], Records]]:
    """Readers of our splits, each with its name in the source: of a folder's `<name>.jsonl` where `source` is a path,
    of the file that it is where there is one split, else of the hub's data set of that id.

    A source is a path where it exists, or looks like one: it starts with `.`, `/` or `~`, or has several slashes.
    """
    path = Path(source).expanduser()
    if not (path.exists() or source.startswith((".", "/", "~")) or source.count("/") > 1):
        return {split: partial(read_hub, source, config, name, read_record) for split, name in splits.items()}
    if path.suffix == ".jsonl" and len(splits) == 1:
        return {split: JsonlFile(path, read_record) for split in splits}
    return {split: JsonlFile(path / f"{name}.jsonl", read_record) for split, name in splits.items()}


def read_jsonl(path: Path, read_record: ReadRecord) -> Records:
    """One question per line; blank lines are skipped. Raises UserError naming the line where the file is no JSONL or
    more than `UNUSABLE_SHARE` of its records cannot be used."""
    if not path.exists():
        raise UserError(f"there is no file {str(path)!r}: give the path of a JSONL file")
    return _read(((where, item) for _, where, item in json_lines(path, "questions", FORM)), read_record, str(path))


def read_hub(name: str, config: str | None, split: str, read_record: ReadRecord) -> Records:
    """A split of a data set of the Hugging Face hub. Raises UserError where it cannot be had, or as `read_jsonl`."""
    from datasets import load_dataset
    from datasets.exceptions import DatasetNotFoundError

    try:
        with quiet_hub():
            records: Iterator[Mapping[str, Any]] = load_dataset(name, config, split=split)
    except (DatasetNotFoundError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"the data set {name!r} cannot be loaded from the hub ({reason}): "
            "check its name and the network, or give a folder with JSONL files"
        ) from None
    source = f"data set {name}, {split}"
    found = _read(((f"{source}, record {number}", item) for number, item in enumerate(records)), read_record, source)
    if not found.questions:
        raise UserError(f"the {split} split of the data set {name!r} is empty")
    return found


def _read(records: Iterable[tuple[str, Mapping[str, Any]]], read_record: ReadRecord, source: str) -> Records:
    questions, unusable = [], []
    for where, record in records:
        try:
            questions.append(read_record(record))
        except ValueError as error:
            unusable.append(f"{where}: {error}")
    total = len(questions) + len(unusable)
    if len(unusable) > UNUSABLE_SHARE * total:
        if total == 1 or len(unusable) == 1:
            raise UserError(unusable[0])
        raise UserError(f"{len(unusable)} of {total:,} records of {source} cannot be used, such as {unusable[0]}")
    return Records(tuple(questions), tuple(unusable))


def text_field(record: Mapping[str, Any], name: str, option: str | None = None) -> str:
    """A field that must hold text or a number. Raises ValueError saying what is wrong; `option`: that of the task which
    names the field."""
    if name not in record:
        hint = f": name the right one with the option `{option}`" if option is not None else ""
        raise ValueError(f"there is no field {name!r}, only {', '.join(map(repr, record)) or 'none'}{hint}")
    value = record[name]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"the field {name!r} must hold text, not {type(value).__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"the field {name!r} is {value}, which is missing data")
    text = str(value).strip()
    if not text:
        raise ValueError(f"the field {name!r} is empty")
    return text


def require_gold(gold: str, kind: AnswerKind, field: str) -> str:
    """The gold answer, if an answer of its kind can equal it at all. Raises ValueError saying what to do."""
    if kind == "number" and parse_number(gold) is None:
        raise ValueError(
            f"the gold answer {gold[:60]!r} in {field!r} is not a number: choose another `answer_kind`, or say with "
            "`answer_marker` what stands before the number"
        )
    if kind == "choice" and letter_of(gold) is None:
        raise ValueError(
            f"the gold answer {gold[:60]!r} in {field!r} is no letter: name the choices with `choices_field`"
        )
    if kind == "expression" and parse_expression(gold) is None:
        raise ValueError(
            f"the gold answer {gold[:60]!r} in {field!r} is no expression of whole numbers with + - * / ( )"
        )
    if kind == "program":
        read_tests(gold)
    return gold
