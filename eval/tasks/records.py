"""Question-answer records from JSONL files and from data sets of the hub."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from eval.hub import quiet_hub
from eval.tasks.questions import Question
from rewards_generated.errors import UserError

ReadRecord = Callable[[Mapping[str, Any]], Question]
"""Makes a question of one record; raises ValueError saying what is wrong with it."""


def read_jsonl(path: Path, read_record: ReadRecord) -> list[Question]:
    """One question per line; blank lines are skipped. Raises UserError naming file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"there is no file {str(path)!r}: give the path of a JSONL file") from None
    except IsADirectoryError:
        raise UserError(f"{str(path)!r} is a folder: give the path of a JSONL file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{str(path)!r} is not UTF-8 text (byte {error.start}): convert it first") from None
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    questions = []
    # Not splitlines(): JSON strings may hold U+2028 and other characters that it would break at.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            raise UserError(f"{path}, line {number}: this is not JSON: {line[:60]!r}") from None
        questions.append(_read(record, read_record, f"{path}, line {number}"))
    if not questions:
        raise UserError(f"{str(path)!r} holds no questions: it is empty")
    return questions


def read_hub(name: str, config: str | None, split: str, read_record: ReadRecord) -> list[Question]:
    """A split of a data set of the Hugging Face hub. Raises UserError where it cannot be had."""
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
    questions = [
        _read(record, read_record, f"data set {name}, {split}, record {number}")
        for number, record in enumerate(records)
    ]
    if not questions:
        raise UserError(f"the {split} split of the data set {name!r} is empty")
    return questions


def _read(record: Any, read_record: ReadRecord, where: str) -> Question:
    if not isinstance(record, Mapping):
        raise UserError(f"{where}: expected an object with fields, not {json.dumps(record)[:60]}")
    try:
        return read_record(record)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None


def text_field(record: Mapping[str, Any], name: str) -> str:
    """A field that must hold text or a number. Raises ValueError saying what is wrong."""
    if name not in record:
        raise ValueError(f"there is no field {name!r}, only {', '.join(map(repr, record)) or 'none'}")
    value = record[name]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"the field {name!r} must hold text, not {type(value).__name__}")
    text = str(value).strip()
    if not text:
        raise ValueError(f"the field {name!r} is empty")
    return text
