"""GSM8K (Cobbe et al. 2021, arXiv 2110.14168): grade-school word problems with whole-number answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from eval.tasks.base import Split, TaskReference
from eval.tasks.questions import QuestionOptions, QuestionTask, Source
from eval.tasks.records import JsonlFile, Question, read_hub, text_field
from rewards_generated.answers import parse_number
from rewards_generated.validation import read_options

HUB_ID = "openai/gsm8k"


class Gsm8kOptions(QuestionOptions):
    source: str = HUB_ID
    """Hub id, or a folder with train.jsonl and test.jsonl of the GSM8K form."""


def build(options: Mapping[str, Any]) -> QuestionTask:
    chosen = read_options(Gsm8kOptions, options, "task.options", "task 'gsm8k'")
    return QuestionTask(
        reference=TaskReference(name="gsm8k", options=dict(options)),
        sources=split_sources(chosen.source, "main", read_gsm8k_record),
        description=(
            "GSM8K: grade-school mathematics word problems that take two to eight steps of elementary arithmetic. "
            "The answer is one number."
        ),
        answer_kind="number",
        options=chosen,
    )


def split_sources(
    source: str, config: str | None, read_record: Any, splits: tuple[Split, ...] = ("train", "test")
) -> dict[Split, Source]:
    """Readers of a folder's `<split>.jsonl` where `source` is a path, else of the hub's data set of that id.

    A source is a path where it exists, or looks like one: it starts with `.`, `/` or `~`, or has several slashes.
    """
    folder = Path(source).expanduser()
    if folder.exists() or source.startswith((".", "/", "~")) or source.count("/") > 1:
        return {split: JsonlFile(folder / f"{split}.jsonl", read_record) for split in splits}
    return {split: partial(read_hub, source, config, split, read_record) for split in splits}


def read_gsm8k_record(record: Mapping[str, Any]) -> Question:
    """The gold answer is what follows the last `####`, the worked solution what stands before it."""
    solution, marker, gold = text_field(record, "answer").rpartition("####")
    gold = gold.strip()
    if not marker:
        raise ValueError("the field 'answer' has no line `#### number`")
    if parse_number(gold) is None:
        raise ValueError(f"the gold answer {gold[:60]!r} after #### is not a number")
    return Question(text_field(record, "question"), gold.replace(",", ""), worked_solution=solution.strip() or None)
