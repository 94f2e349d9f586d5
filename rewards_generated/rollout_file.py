"""Rollouts from a JSONL file, one object per line, for the gate and for scoring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewards_generated.adapters.text import completion_text, prompt_text
from rewards_generated.answers import AnswerReader, AnswerRules, is_right
from rewards_generated.contract import WORKED_SOLUTION
from rewards_generated.errors import UserError
from rewards_generated.json_lines import json_lines
from rewards_generated.rollout import Rollout, Sample

FORM = '{"prompt": ..., "completion": ..., "answer": ..., "correct": true, "answered": true, "group": "id"}'


SAMPLE_FORM = '{"prompt": ..., "completion": ..., "answer": ..., "id": "any", "group": "question"}'


@dataclass(frozen=True, slots=True)
class RolloutLine:
    """One line of a file of rollouts to be scored."""

    number: int
    """In the file, from 1."""
    id: str | int | None
    sample: Sample
    group: str
    """The line's `group`, or its prompt."""


def read_rollouts(path: Path, answers: AnswerReader | None = None) -> list[Rollout]:
    """The rollouts of the file, in order.

    `prompt` and `completion` are text or chat messages; `worked_solution` may stand beside them. Without `correct` and
    `answered` they are judged by `answers`, such as a task (None: numbers in `<solution>` tags); without `group` the
    prompt stands for it. Raises UserError naming the line.
    """
    return [_rollout(item, where, answers or AnswerRules()) for _, where, item in json_lines(path, "rollouts", FORM)]


def read_samples(path: Path) -> list[RolloutLine]:
    """What a reward sees of the same file, in order, with `id` (text or a whole number) and `group` where they are
    given; other fields are left alone. Raises UserError naming the line."""
    lines = []
    for number, where, item in json_lines(path, "rollouts", SAMPLE_FORM):
        sample = _sample(item, where)
        name = item.get("id")
        if name is not None and (isinstance(name, bool) or not isinstance(name, str | int)):
            raise UserError(f"{where}: `id` is {str(name)[:60]!r}; give text or a whole number, or leave it out")
        lines.append(RolloutLine(number, name, sample, str(item.get("group", sample.prompt))))
    return lines


def _sample(item: dict[str, Any], where: str) -> Sample:
    prompt = prompt_text(_text(item, "prompt", where))
    completion = completion_text(_text(item, "completion", where))
    answer = item.get("answer")
    if not isinstance(answer, str | int | float) or isinstance(answer, bool):
        raise UserError(f"{where}: `answer` is {answer!r}; give the gold answer as text or a number")
    worked = item.get(WORKED_SOLUTION)
    if worked is not None and not isinstance(worked, str):
        raise UserError(f"{where}: `{WORKED_SOLUTION}` is {str(worked)[:60]!r}; give text, or leave it out")
    return Sample(prompt, completion, str(answer), worked)


def _rollout(item: dict[str, Any], where: str, answers: AnswerReader) -> Rollout:
    sample = _sample(item, where)
    correct, answered = _flag(item, "correct", where), _flag(item, "answered", where)
    return Rollout(
        sample.prompt,
        sample.completion,
        sample.answer,
        is_right(answers, sample.completion, sample.answer) if correct is None else correct,
        answers.extract(sample.completion).strict is not None if answered is None else answered,
        str(item.get("group", sample.prompt)),
        sample.worked_solution,
    )


def _text(item: dict[str, Any], field: str, where: str) -> Any:
    value = item.get(field)
    if isinstance(value, str) or (isinstance(value, list) and value and all(isinstance(part, dict) for part in value)):
        return value
    raise UserError(f"{where}: `{field}` is {str(value)[:60]!r}; give text or a list of chat messages")


def _flag(item: dict[str, Any], field: str, where: str) -> bool | None:
    value = item.get(field)
    if value is None or isinstance(value, bool):
        return value
    raise UserError(f"{where}: `{field}` is {value!r}; give true or false, or leave it out")
