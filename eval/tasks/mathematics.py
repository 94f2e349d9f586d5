"""MATH (Hendrycks et al. 2021, arXiv 2103.03874) and data sets of its form: answers are LaTeX expressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from eval.tasks.base import TaskReference
from eval.tasks.gsm8k import split_sources
from eval.tasks.questions import QuestionOptions, QuestionTask
from eval.tasks.records import Question, text_field
from rewards_generated.answers import ANSWER_FORMATS, AnswerFormat, read_format
from rewards_generated.answers.extraction import last_boxed
from rewards_generated.validation import read_options

HUB_ID = "DigitalLearningGmbH/MATH-lighteval"


class MathOptions(QuestionOptions):
    source: str = HUB_ID
    """Hub id of a data set with train and test splits, or a folder with train.jsonl and test.jsonl; records have
    `problem` and `answer`, or `solution` with the answer in `\\boxed{}`."""
    config: str | None = None
    """Configuration of the hub's data set, where it has several."""
    answer_format: Annotated[AnswerFormat, BeforeValidator(read_format)] = ANSWER_FORMATS["boxed"]


def build(options: Mapping[str, Any]) -> QuestionTask:
    chosen = read_options(MathOptions, options, "task.options", "task 'math'")
    return QuestionTask(
        reference=TaskReference(name="math", options=dict(options)),
        sources=split_sources(chosen.source, chosen.config, read_math_record),
        description=(
            "MATH: competition mathematics (algebra, geometry, counting, number theory, calculus). The answer is a "
            "number or a LaTeX expression."
        ),
        answer_kind="mathematics",
        options=chosen,
    )


def read_math_record(record: Mapping[str, Any]) -> Question:
    """The gold answer is the field `answer`, else the last `\\boxed{}` of `solution`, the worked solution."""
    written = record.get("solution")
    worked = (written.strip() or None) if isinstance(written, str) else None
    attributes = {name: record[name] for name in ("level", "type", "subject") if name in record}
    if "answer" in record:
        given = text_field(record, "answer")
        return Question(text_field(record, "problem"), given, attributes=attributes, worked_solution=worked)
    gold = last_boxed(text_field(record, "solution"))
    if gold is None or not gold.strip():
        raise ValueError("there is no field 'answer', and 'solution' has no \\boxed{...} to take it from")
    return Question(text_field(record, "problem"), gold.strip(), attributes=attributes, worked_solution=worked)
