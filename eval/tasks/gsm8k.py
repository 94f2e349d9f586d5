"""GSM8K (Cobbe et al. 2021, arXiv 2110.14168): grade-school word problems with whole-number answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from eval.tasks.base import Split, TaskReference
from eval.tasks.questions import Question, QuestionTask, Source
from eval.tasks.records import read_hub, read_jsonl, text_field
from rewards_generated.answers import ANSWER_FORMATS, parse_number
from rewards_generated.validation import read_options

HUB_ID = "openai/gsm8k"


class Gsm8kOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = HUB_ID
    """Hub id, or a folder with train.jsonl and test.jsonl of the GSM8K form."""
    validation_size: int = Field(500, ge=1)
    """Questions carved out of train for ranking."""
    answer_format: Literal["solution", "answer", "boxed"] = "solution"
    """`<thinking>`/`<solution>` tags, `<think>`/`<answer>` tags, or `\\boxed{}`."""
    system_prompt: str | None = None
    """Instead of the one that asks for the answer format; an empty text leaves it out."""


def build(options: Mapping[str, Any]) -> QuestionTask:
    chosen = read_options(Gsm8kOptions, options, "task.options", "task 'gsm8k'")
    form = ANSWER_FORMATS[chosen.answer_format]
    return QuestionTask(
        reference=TaskReference(name="gsm8k", options=dict(options)),
        sources=split_sources(chosen.source, "main", read_gsm8k_record),
        description=(
            "GSM8K: grade-school mathematics word problems that take two to eight steps of elementary arithmetic. "
            f"The answer is one number. Expected form of a completion: {form.words}."
        ),
        answer_format=chosen.answer_format,
        answer_kind="number",
        validation_size=chosen.validation_size,
        system_prompt=chosen.system_prompt,
    )


def split_sources(
    source: str, config: str | None, read_record: Any, splits: tuple[Split, ...] = ("train", "test")
) -> dict[Split, Source]:
    """Readers of a folder's `<split>.jsonl` where `source` is a path, else of the hub's data set of that id.

    A source is a path where it exists, or looks like one: it starts with `.`, `/` or `~`, or has several slashes.
    """
    folder = Path(source).expanduser()
    if folder.exists() or source.startswith((".", "/", "~")) or source.count("/") > 1:
        return {split: partial(read_jsonl, folder / f"{split}.jsonl", read_record) for split in splits}
    return {split: partial(read_hub, source, config, split, read_record) for split in splits}


def read_gsm8k_record(record: Mapping[str, Any]) -> Question:
    """The gold answer is what follows the last `####`."""
    solution = text_field(record, "answer")
    _, marker, gold = solution.rpartition("####")
    gold = gold.strip()
    if not marker:
        raise ValueError("the field 'answer' has no line `#### number`")
    if parse_number(gold) is None:
        raise ValueError(f"the gold answer {gold[:60]!r} after #### is not a number")
    return Question(text_field(record, "question"), gold.replace(",", ""))
