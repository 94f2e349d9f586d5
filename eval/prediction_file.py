"""Anybody's predictions from JSONL files, one object per question, lined up to be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eval.report.scores import Answers
from rewards_generated.errors import UserError
from rewards_generated.json_lines import json_lines

FORM = '{"id": "q1", "correct": true, "answered": true, "seed": 0}'


class _Line(NamedTuple):
    number: int
    correct: bool
    answered: bool | None


_Runs = dict[int | None, dict[str, _Line]]
"""By seed (None: the file names none), then by question."""


def read_answers(files: Sequence[Path]) -> dict[str, Answers]:
    """The answers of each file, under its name without the ending, all over the same questions in the same order.

    A line holds `id` (text or an integer) and `correct`; `answered` (an answer could be read) and `seed` (of the
    training run, an integer) may be left out, but then of all lines of a file. Without `seed` the seed is 0. Other
    fields are ignored. Raises UserError naming file and line for what is malformed, given twice or not in all.
    """
    if len(files) < 2:
        given = f"only {files[0]} was given" if files else "none was given"
        raise UserError(f"a comparison needs the predictions of at least two models, but {given}; name another file")
    names = _names(files)
    runs = {file: _read(file) for file in files}
    questions = _shared_questions(runs)
    return {name: _answers(runs[file], questions) for name, file in names.items()}


def _names(files: Sequence[Path]) -> dict[str, Path]:
    for position, file in enumerate(files):
        if file in files[:position]:
            raise UserError(f"{file} is given twice; give every model's predictions once")
    stems = [file.stem for file in files]
    return {file.stem if stems.count(file.stem) == 1 else str(file): file for file in files}


def _read(file: Path) -> _Runs:
    runs: _Runs = {}
    first: dict[str, Any] | None = None
    for number, where, item in json_lines(file, "predictions", FORM):
        question, seed, parsed = _id(item, where), _seed(item, where), _line(item, number, where)
        if first is None:
            first = item
        for field in ("answered", "seed"):
            if (item.get(field) is None) != (first.get(field) is None):
                raise UserError(f"{where}: `{field}` must stand on every line of a file or on none; add or remove it")
        before = runs.setdefault(seed, {}).get(question)
        if before is not None:
            run = "" if seed is None else f" for seed {seed}"
            raise UserError(
                f"{where}: question {question[:80]!r} has a prediction{run} on line {before.number} already; "
                "keep one, or give each run its own `seed`"
            )
        runs[seed][question] = parsed
    return runs


def _id(item: dict[str, Any], where: str) -> str:
    value = item.get("id")
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise UserError(f"{where}: `id` is {_shown(item, 'id')}; give the question's id as text or an integer")
    return str(value)


def _seed(item: dict[str, Any], where: str) -> int | None:
    value = item.get("seed")
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise UserError(f"{where}: `seed` is {_shown(item, 'seed')}; give the training run's seed as an integer")
    return value


def _line(item: dict[str, Any], number: int, where: str) -> _Line:
    correct, answered = item.get("correct"), item.get("answered")
    if not isinstance(correct, bool):
        raise UserError(f"{where}: `correct` is {_shown(item, 'correct')}; write true or false")
    if answered is not None and not isinstance(answered, bool):
        raise UserError(f"{where}: `answered` is {_shown(item, 'answered')}; write true or false, or leave it out")
    if correct and answered is False:
        raise UserError(f"{where}: `correct` is true and `answered` is false; a right answer must have been answered")
    return _Line(number, correct, answered)


def _shown(item: dict[str, Any], field: str) -> str:
    return json.dumps(item[field])[:60] if field in item else "missing"


def _shared_questions(runs: Mapping[Path, _Runs]) -> list[str]:
    """The questions in the order of the first file; every run of every file must have answered just these."""
    reference, (first, *_) = next(iter(runs)), next(iter(runs.values())).values()
    for file, by_seed in runs.items():
        for seed, run in by_seed.items():
            where = f"{file}" if seed is None else f"{file} (seed {seed})"
            for question, line in first.items():
                if question not in run:
                    raise UserError(
                        f"{where} has no prediction for question {question[:80]!r} of {reference}, line {line.number}; "
                        "give every model and every seed the same questions"
                    )
            for question, line in run.items():
                if question not in first:
                    raise UserError(
                        f"{file}, line {line.number}: question {question[:80]!r} has no prediction in {reference}; "
                        "give every model and every seed the same questions"
                    )
    return list(first)


def _answers(runs: _Runs, questions: Sequence[str]) -> Answers:
    seeds = sorted(runs, key=lambda seed: seed or 0)
    lines = [[runs[seed][question] for question in questions] for seed in seeds]
    known = lines[0][0].answered is not None
    return Answers(
        seeds=tuple(seed or 0 for seed in seeds),
        correct=np.array([[line.correct for line in run] for run in lines], dtype=bool),
        answered=np.array([[line.answered for line in run] for run in lines], dtype=bool) if known else None,
    )
