"""GSM8K (Cobbe et al. 2021, arXiv 2110.14168): grade-school word problems with whole-number answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from eval.tasks.base import TaskReference
from eval.tasks.builder import TaskBuilder
from eval.tasks.questions import QuestionOptions, QuestionTask
from eval.tasks.records import Question, split_sources, text_field
from rewards_generated.answers import parse_number

HUB_ID = "openai/gsm8k"


class Gsm8kOptions(QuestionOptions):
    source: str = HUB_ID
    """Hub id, or a folder with train.jsonl and test.jsonl of the GSM8K form."""


def _make(reference: TaskReference, options: Gsm8kOptions) -> QuestionTask:
    return QuestionTask(
        reference=reference,
        sources=split_sources(options.source, "main", {"train": "train", "test": "test"}, read_gsm8k_record),
        description=(
            "GSM8K: grade-school mathematics word problems that take two to eight steps of elementary arithmetic. "
            "The answer is one number."
        ),
        answer_kind="number",
        options=options,
    )


build = TaskBuilder("gsm8k", Gsm8kOptions, _make)


def read_gsm8k_record(record: Mapping[str, Any]) -> Question:
    """The gold answer is what follows the last `####`, the worked solution what stands before it, without its notes for
    a calculator such as `<<48/2=24>>`: few policies have one."""
    solution, marker, gold = text_field(record, "answer").rpartition("####")
    gold = gold.strip()
    if not marker:
        raise ValueError("the field 'answer' has no line `#### number`")
    if parse_number(gold) is None:
        raise ValueError(f"the gold answer {gold[:60]!r} after #### is not a number")
    worked = re.sub(r"<<[^<>\n]*>>", "", solution).strip()
    return Question(text_field(record, "question"), gold.replace(",", ""), worked_solution=worked or None)
