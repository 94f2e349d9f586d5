"""A user's own questions: JSONL files, one per split, named in the config."""

from __future__ import annotations

from pathlib import Path

from eval.tasks.base import Split, TaskReference
from eval.tasks.builder import TaskBuilder
from eval.tasks.columns import ColumnOptions
from eval.tasks.questions import QuestionTask, Source
from eval.tasks.records import JsonlFile


class JsonlOptions(ColumnOptions):
    train: str
    """Path of the training questions."""
    test: str
    """Path of the questions that stay sealed to the end."""
    validation: str | None = None
    """Path of the questions to rank on; without one, `validation_size` questions are carved out of train."""


def _make(reference: TaskReference, options: JsonlOptions) -> QuestionTask:
    paths: dict[Split, str | None] = {
        "train": options.train,
        "validation": options.validation,
        "test": options.test,
    }
    sources: dict[Split, Source] = {
        split: JsonlFile(Path(path).expanduser(), options.read_record)
        for split, path in paths.items()
        if path is not None
    }
    return QuestionTask(reference, sources, options.description, options.kind, options)


build = TaskBuilder("jsonl", JsonlOptions, _make)
