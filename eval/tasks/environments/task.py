"""A task whose questions and verdicts are those of an environment, the user's own installed package."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from eval.tasks.base import Example, Message, Split, TaskReference
from eval.tasks.builder import TaskBuilder
from eval.tasks.division import Division
from eval.tasks.environments.base import Environment, Row
from eval.tasks.environments.classic import ClassicEnvironment
from eval.tasks.environments.taskset import TasksetEnvironment
from rewards_generated.answers import ANSWER_FORMATS, AnswerFormat, Extraction, read_format
from rewards_generated.errors import UserError
from rewards_generated.loading import load_object, require_options
from rewards_generated.validation import read_options

_FORMATS = (
    AnswerFormat("think", "answer"),
    *ANSWER_FORMATS.values(),
    AnswerFormat("think", None),
    AnswerFormat(None, "answer"),
)
"""Looked for among what the environment's parser reads."""


class EnvironmentOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    environment: str = Field(pattern="^[^:]+:[^:]+$")
    """`package.module:load_environment`, or `package.module:Class` of a taskset. It is imported and run as code of your
    own."""
    arguments: dict[str, Any] = {}
    """Its arguments; of a taskset the fields of its configuration."""
    correctness: str
    """The function of its rubric (or method of its tasks) that says whether a completion is right."""
    right_from: float = 1.0
    """The least that this function gives for a right completion."""
    questions: int = Field(5000, ge=3)
    """Questions of each of its datasets at the most."""
    validation_share: float = Field(0.2, gt=0, lt=1)
    """Share of its training questions that become validation."""
    test_share: float = Field(0.3, gt=0, lt=1)
    """Share of its questions that become test where it has no evaluation dataset."""
    division_seed: int = 0
    """Another number divides them otherwise."""
    answer_format: Annotated[AnswerFormat | None, BeforeValidator(lambda value: value and read_format(value))] = None
    """Where completions put reasoning and answer, for rewards on form; without it, a format that the environment's
    parser reads answers from."""
    system_prompt: str | None = None
    """Instead of the environment's own; an empty text leaves it out."""
    description: str = "Questions of an environment."
    """Two or three sentences for the proposer's prompt."""


class ParsedAnswer(str):
    """An answer as the parser reads it, with the completion, which the environment judges as a whole."""

    __slots__ = ("completion",)
    completion: str


class EnvironmentTask:
    """The gold answer of an example is the environment's, or where that does not tell questions apart that are judged
    differently, all that the verdict depends on, as JSON."""

    answer_kind = "text"
    """For an exported folder, which has no environment."""
    gold_is_answer = False

    def __init__(self, reference: TaskReference, options: EnvironmentOptions) -> None:
        self.reference = reference
        self._options = options
        self._where = f"the environment {options.environment!r}"
        self._environment = _loaded(reference.model_dump_json())
        self.answer_format = options.answer_format or self._format_read()
        self.description = f"{options.description} Expected form of a completion: {self.answer_format.words}."
        self._splits: dict[Split, tuple[Example, ...]] = {}
        self._rows: dict[str, Row] = {}

    def examples(self, split: Split, limit: int | None = None) -> Sequence[Example]:
        if limit is not None and limit < 1:
            raise UserError(f"limit = {limit} of the {split} split: ask for at least 1 example")
        self._read()
        if not self._splits[split]:
            raise UserError(f"{self._where} has too few questions for a {split} split")
        return self._splits[split][:limit]

    def extract(self, completion: str) -> Extraction:
        found = self._environment.parse(completion)
        if found is None:
            return Extraction(None, None)
        answer = ParsedAnswer(found)
        answer.completion = completion
        return Extraction(answer, answer)

    def equal(self, extracted: str, gold: str) -> bool:
        """The environment's verdict on the completion that the answer was read from; of a bare text, on a completion
        with it as its answer."""
        self._read()
        if gold not in self._rows:
            raise UserError(f"{gold[:80]!r} is no gold answer of {self._where}")
        completion = getattr(extracted, "completion", None) or self.answer_format.completion("", extracted)
        return self._environment.verdict(self._rows[gold], completion) >= self._options.right_from

    def notes(self) -> list[str]:
        notes = [
            f"{self._options.correctness!r} of {self._where} says which answers are right; an exported answer_check, "
            "which has no environment, compares their texts"
        ]
        gold = self.examples("train", 1)[0].answer
        if not self.equal(gold, gold):
            notes.append(
                f"to {self._where} its own gold answer, such as {gold[:60]!r}, is not right as an answer: rewards that "
                "compare with it say nothing"
            )
        return notes

    def files(self) -> list[Path]:
        """The module that the environment is made in."""
        module = sys.modules[self._options.environment.partition(":")[0]]
        return [Path(module.__file__)] if module.__file__ else []

    def _read(self) -> None:
        if self._splits:
            return
        limit, options = self._options.questions, self._options
        train, test = self._environment.rows("train", limit), self._environment.rows("test", limit)
        golds = _golds([*(train or ()), *(test or ())])
        self._rows = {golds[id(row)]: row for row in [*(test or ()), *(train or ())]}
        if train is not None and test is not None:
            division = Division(1 - options.validation_share, options.validation_share, options.division_seed)
        else:
            rest = 1 - options.test_share
            division = Division(
                rest * (1 - options.validation_share), rest * options.validation_share, options.division_seed
            )
        parts: dict[Split, dict[str, Example]] = {"train": {}, "validation": {}, "test": {}}
        for row in test or () if train is not None else ():
            parts["test"].setdefault(*self._example(row, golds[id(row)]))
        for row in train if train is not None else test or ():
            identifier, example = self._example(row, golds[id(row)])
            if identifier not in parts["test"]:
                parts[division.split_of(_text(row.prompt))].setdefault(identifier, example)
        self._splits = {
            split: tuple(sorted(found.values(), key=lambda example: _digest(example.id)))
            for split, found in parts.items()
        }

    def _example(self, row: Row, gold: str) -> tuple[str, Example]:
        identifier = f"environment-{_digest(_text(row.prompt) + gold)[:16]}"
        prompt = row.prompt
        if self._options.system_prompt is not None:
            system: Message = {"role": "system", "content": self._options.system_prompt}
            asked = tuple(message for message in prompt if message["role"] != "system")
            prompt = (system, *asked) if system["content"] else asked
        return identifier, Example(identifier, prompt, gold)

    def _format_read(self) -> AnswerFormat:
        """The format that the parser reads an answer from; of several that of which its system prompt has most tags."""
        if self._environment.parse("no answer") is not None:
            raise UserError(
                f"{self._where} has no parser that tells where an answer stands: say with the option `answer_format` "
                "how completions are to be written"
            )
        asked = self._environment.system_prompt
        read = [form for form in _FORMATS if self._environment.parse(form.completion("so", "7")) == "7"]
        if not read:
            raise UserError(
                f"the parser of {self._where} reads no known format: name one with the option `answer_format`"
            )
        return max(read, key=lambda form: sum(tag in asked for tag in form.tags))


def _golds(rows: Sequence[Row]) -> dict[int, str]:
    """By id of the row."""
    facts: dict[str, set[str]] = {}
    for row in rows:
        facts.setdefault(row.answer, set()).add(_facts(row))
    return {id(row): row.answer if row.answer and len(facts[row.answer]) == 1 else _facts(row) for row in rows}


def _facts(row: Row) -> str:
    return json.dumps(row.facts, sort_keys=True, default=str)


@lru_cache(maxsize=4)
def _loaded(reference: str) -> Environment:
    """Made once in a process, though a task is built more than once."""
    options = read_options(
        EnvironmentOptions, TaskReference.model_validate_json(reference).options, "task.options", "task 'verifiers'"
    )
    where, field = f"the environment {options.environment!r}", "task.options.environment"
    factory = load_object(options.environment, {}, field, "environment", form="function")
    if hasattr(factory, "task_type"):
        from verifiers.v1 import TasksetConfig
        from verifiers.v1.utils.generic import concrete_type

        config = concrete_type(factory, TasksetConfig) or TasksetConfig
        made: Any = factory(read_options(config, options.arguments, "task.options.arguments", where))
    else:
        require_options(factory, options.arguments, "task.options.arguments", where)
        made = factory(**options.arguments)
    if hasattr(made, "rubric") and hasattr(made, "get_dataset"):
        return ClassicEnvironment(made, options.correctness, where)
    if hasattr(made, "task_type"):
        return TasksetEnvironment(made, options.correctness, where)
    raise UserError(f"{where} gave {type(made).__name__}, which is no environment of verifiers and no taskset")


def _text(prompt: Sequence[Message]) -> str:
    return json.dumps([dict(message) for message in prompt], sort_keys=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


build = TaskBuilder("verifiers", EnvironmentOptions, EnvironmentTask)
