"""Data sets of the hub, or local copies of them, whose columns are named: some by us, any other by the user."""

from __future__ import annotations

from copy import copy
from typing import Any

from pydantic import Field, create_model, model_validator

from eval.tasks.base import Split, Task, TaskReference
from eval.tasks.builder import TaskBuilder
from eval.tasks.columns import ColumnOptions
from eval.tasks.division import Division
from eval.tasks.questions import QuestionTask
from eval.tasks.records import split_sources
from eval.tasks.registry import build_task, task_options
from rewards_generated.answers import ANSWER_FORMATS, format_name
from rewards_generated.errors import UserError


class SetOptions(ColumnOptions):
    source: str
    """Hub id, or a folder with `<split>.jsonl` files, or where there is one split a JSONL file."""
    config: str | None = None
    """Configuration of the hub's data set, where it has several."""
    splits: dict[Split, str] = Field({"train": "train", "test": "test"}, min_length=1)
    """Names that the set has for train, validation and test. Of train and test, `validation_size` questions of train
    become validation; one alone is divided into all three."""
    train_share: float = Field(0.4, gt=0, lt=1)
    """Share of the questions of a set with one split that become train."""
    validation_share: float = Field(0.2, gt=0, lt=1)
    """Likewise validation; the rest are test."""
    division_seed: int = 0
    """Another number divides a set with one split otherwise."""
    train_on: TaskReference | None = None
    """Another task (`name` and `options`) to take train and validation from; then all of this set's test split, or of
    its one split, is test."""

    @model_validator(mode="after")
    def _something_is_left_for_test(self) -> SetOptions:
        if self.train_share + self.validation_share >= 1:
            raise ValueError("train_share and validation_share make 1 or more: leave something for test")
        return self


def _make(reference: TaskReference, options: SetOptions) -> QuestionTask:
    splits, division, trained_on = options.splits, None, None
    if options.train_on is not None:
        splits = {"test": splits["test"] if "test" in splits else _only(reference, splits)}
        trained_on = _other(reference, options, options.train_on)
    elif len(splits) == 1:
        division = Division(options.train_share, options.validation_share, options.division_seed)
    return QuestionTask(
        reference,
        split_sources(options.source, options.config, splits, options.read_record),
        options.description,
        options.kind,
        options,
        division=division,
        trained_on=trained_on,
    )


def _only(reference: TaskReference, splits: dict[Split, str]) -> str:
    if len(splits) > 1:
        raise UserError(f"task {reference.name!r}: with `train_on` say in `splits` which split is test")
    return next(iter(splits.values()))


def _other(reference: TaskReference, options: SetOptions, named: TaskReference) -> Task:
    """The task to train on, asked in the same format. Raises UserError where its answers are other ones."""
    shared = {"answer_format": format_name(options.answer_format), "system_prompt": options.system_prompt}
    known = task_options(named.name)
    taken = {name: value for name, value in shared.items() if known is not None and name in known.model_fields}
    task = build_task(TaskReference(name=named.name, options={**taken, **named.options}))
    field = f"task {reference.name!r}, option 'train_on': {named.name!r}"
    if task.answer_format != options.answer_format:
        raise UserError(
            f"{field} is answered as {task.answer_format.words}, not as {options.answer_format.words}; give both the "
            "same `answer_format`"
        )
    kind = getattr(task, "answer_kind", "number")
    if kind != options.kind and (kind, options.kind) != ("number", "mathematics"):
        raise UserError(f"{field} has answers of the kind {kind!r}, not {options.kind!r}; name another task")
    return task


def _preset(name: str, **defaults: Any) -> TaskBuilder:
    """The same options with other defaults."""
    fields: dict[str, Any] = {}
    for option, value in defaults.items():
        field = copy(SetOptions.model_fields[option])
        field.default, field.default_factory = value, None
        fields[option] = (field.annotation, field)
    return TaskBuilder(name, create_model(f"{name} options", __base__=SetOptions, **fields), _make)


hub = TaskBuilder("hub", SetOptions, _make)

_MATHEMATICS: dict[str, Any] = {
    "question_field": "problem",
    "solution_field": "solution",
    "answer_kind": "mathematics",
    "answer_format": ANSWER_FORMATS["boxed"],
    "attribute_fields": ("level", "type", "subject"),
}

mathematics = _preset(
    "math",
    **_MATHEMATICS,
    source="DigitalLearningGmbH/MATH-lighteval",
    description=(
        "MATH: competition mathematics (algebra, geometry, counting, number theory, calculus). The answer is a "
        "number or a LaTeX expression."
    ),
)
"""Hendrycks et al. 2021, arXiv 2103.03874."""

math_500 = _preset(
    "math-500",
    **_MATHEMATICS,
    source="HuggingFaceH4/MATH-500",
    splits={"test": "test"},
    id_field="unique_id",
    description=(
        "MATH-500: 500 problems of the test split of MATH, competition mathematics. The answer is a number or a LaTeX "
        "expression."
    ),
)
"""The split of Lightman et al. 2023, arXiv 2305.20050."""

_AIME: dict[str, Any] = {
    **_MATHEMATICS,
    "attribute_fields": ("year",),
    "description": (
        "AIME: thirty hard problems of the American Invitational Mathematics Examination of one year. The answer is a "
        "whole number from 0 to 999."
    ),
}
aime_24 = _preset("aime24", **_AIME, source="HuggingFaceH4/aime_2024", splits={"train": "train"})
aime_25 = _preset("aime25", **_AIME, source="math-ai/aime25", splits={"test": "test"})

svamp = _preset(
    "svamp",
    source="ChilleD/SVAMP",
    question_field=("Body", "Question"),
    answer_field="Answer",
    attribute_fields=("Type",),
    validation_size=150,
    description=(
        "SVAMP: word problems of one step of arithmetic, varied so that surface patterns mislead. The answer is one "
        "number."
    ),
)
"""Patel et al. 2021, arXiv 2103.07191."""

gpqa_diamond = _preset(
    "gpqa-diamond",
    source="Idavidrein/gpqa",
    config="gpqa_diamond",
    splits={"train": "train"},
    question_field="Question",
    answer_field="Correct Answer",
    choices_field=("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"),
    answer_kind="choice",
    id_field="Record ID",
    attribute_fields=("High-level domain", "Subdomain"),
    description=(
        "GPQA diamond: questions of graduate level in biology, physics and chemistry with four choices. The answer is "
        "the letter of the right choice."
    ),
)
"""Rein et al. 2023, arXiv 2311.12022. Access to it is granted on the hub."""
