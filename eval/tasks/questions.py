"""A task made of question-answer records: the common body of data sets of the hub and a user's own JSONL."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from eval.tasks.base import Example, Message, Split, Task, TaskReference
from eval.tasks.division import Division
from eval.tasks.files import local_files
from eval.tasks.records import JsonlFile, Question, Records
from rewards_generated.answers import ANSWER_FORMATS, AnswerFormat, AnswerKind, AnswerRules, Extraction, read_format
from rewards_generated.errors import UserError

Source = Callable[[], Records]
"""Reads one split when it is first needed; raises UserError where it cannot."""

GOLDS_LOOKED_AT = 200
"""Gold answers of a split that math-verify is asked to read, for the note on those that it cannot."""
UNREADABLE_SHARE = 0.02


class PromptOptions(BaseModel):
    """What completions of a task are asked to look like."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    answer_format: Annotated[AnswerFormat, BeforeValidator(read_format)] = ANSWER_FORMATS["solution"]
    r"""`solution` (`<thinking>`/`<solution>` tags), `answer` (`<think>`/`<answer>` tags), `boxed` (`\boxed{}`), or a
    format of your own by its fields: reasoning_tag, answer_tag (either may be null) and reasoning_opened, true if the
    chat template writes the opening reasoning tag itself."""
    system_prompt: str | None = None
    """Instead of the one that asks for the answer format; an empty text leaves it out."""

    def prompt(self, question: str) -> tuple[Message, ...]:
        system = self.answer_format.instruction if self.system_prompt is None else self.system_prompt
        asked: Message = {"role": "user", "content": question}
        return ({"role": "system", "content": system}, asked) if system else (asked,)


class QuestionOptions(PromptOptions):
    """Options of every task that is made of question-answer records."""

    validation_size: int = Field(500, ge=1)
    """Questions carved out of train for ranking."""


class RuledTask:
    """What a task has of the rules by which answers are read and compared."""

    rules: AnswerRules

    @property
    def answer_format(self) -> AnswerFormat:
        return self.rules.answer_format

    @property
    def answer_kind(self) -> AnswerKind:
        return self.rules.answer_kind

    def extract(self, completion: str) -> Extraction:
        return self.rules.extract(completion)

    def equal(self, extracted: str, gold: str) -> bool:
        return self.rules.equal(extracted, gold)


class QuestionTask(RuledTask):
    """Questions with gold answers in train, validation and test splits.

    Where there is no validation source, `validation_size` questions are carved out of train. Ids are derived from
    the question's text unless the source has its own, and both the carving and the order of every split follow a
    hash of the id: adding a question moves no other one between splits, and the first `limit` examples of a split
    are a random sample of it. With a `division` the one source is divided into all three; `trained_on` is another task
    whose train and validation questions stand in for those of the sources.
    """

    def __init__(
        self,
        reference: TaskReference,
        sources: Mapping[Split, Source],
        description: str,
        answer_kind: AnswerKind,
        options: QuestionOptions,
        *,
        division: Division | None = None,
        trained_on: Task | None = None,
    ) -> None:
        self.reference = reference
        self.rules = AnswerRules(options.answer_format, answer_kind)
        said = [description, *([division.words] if division else [])]
        if trained_on is not None:
            said.append(f"These are the test questions; train and validation are those of {trained_on.reference.name}.")
        self.description = " ".join([*said, f"Expected form of a completion: {self.answer_format.words}."])
        self._options = options
        self._sources = sources
        self._division = division
        self._trained_on = trained_on
        self._splits: dict[Split, tuple[Example, ...]] = {}
        self._unusable: list[str] = []

    def examples(self, split: Split, limit: int | None = None) -> Sequence[Example]:
        if split not in self._splits:
            self._read(split)
        found = self._splits[split]
        if not found:
            raise UserError(f"task {self.reference.name!r} has no {split} questions")
        if limit is not None and limit < 1:
            raise UserError(f"limit = {limit} of the {split} split: ask for at least 1 example")
        return found[:limit]

    def notes(self) -> list[str]:
        """What a user should know of the splits read so far, a sentence each: records left out, golds that math-verify
        cannot read."""
        notes = [*self._unusable, *getattr(self._trained_on, "notes", list)()]
        if self.rules.answer_kind == "mathematics":
            notes += filter(None, map(self._unreadable, self._splits))
        return notes

    def files(self) -> list[Path]:
        """The files that the questions come from; none where they come from the hub."""
        own = [source.path for source in self._sources.values() if isinstance(source, JsonlFile)]
        return [*own, *(local_files(self._trained_on.reference) if self._trained_on is not None else [])]

    def _unreadable(self, split: Split) -> str | None:
        from rewards_generated.answers.symbolic import readable

        golds = [example.answer for example in self._splits[split][:GOLDS_LOOKED_AT]]
        missed = [gold for gold in golds if not readable(gold)]
        if len(missed) <= UNREADABLE_SHARE * len(golds):
            return None
        return (
            f"{len(missed)} of {len(golds)} gold answers looked at in {split} cannot be read as mathematics, such as "
            f"{missed[0][:60]!r}: completions must match them letter by letter, blanks aside"
        )

    def _read(self, split: Split) -> None:
        if self._division is not None:
            (source,) = self._sources.values()
            self._splits |= self._divided(self._division, self._questions(source))
            return
        if self._trained_on is not None and split != "test":
            examples = tuple(self._trained_on.examples(split))
            self._require_unseen(split, examples)
            self._splits[split] = examples
            return
        carved = "validation" not in self._sources and split in ("train", "validation")
        name: Split = "train" if carved else split
        if name not in self._sources:
            raise UserError(f"task {self.reference.name!r} has no {name} split: name one in its options")
        examples = self._examples(self._questions(self._sources[name]))
        self._require_unseen(name, examples)
        if not carved:
            self._splits[split] = examples
            return
        size = self._options.validation_size
        if len(examples) <= size:
            raise UserError(
                f"task {self.reference.name!r}, option 'validation_size' = {size}: "
                f"train has only {len(examples)} questions; choose a smaller number"
            )
        self._splits["validation"], self._splits["train"] = examples[:size], examples[size:]

    def _questions(self, source: Source) -> Sequence[Question]:
        records = source()
        self._unusable += [f"left out: {sentence}" for sentence in records.unusable]
        return records.questions

    def _divided(self, division: Division, questions: Sequence[Question]) -> dict[Split, tuple[Example, ...]]:
        parts: dict[Split, list[Question]] = {split: [] for split in get_args(Split)}
        for question in questions:
            parts[division.split_of(question.content)].append(question)
        return {split: self._examples(part) for split, part in parts.items()}

    def _require_unseen(self, source: Split, examples: Sequence[Example]) -> None:
        for other, known in self._splits.items():
            questions = {example.question for example in known}
            if shared := sum(example.question in questions for example in examples):
                raise UserError(
                    f"task {self.reference.name!r}: {shared} questions stand both in {other} and in {source}; "
                    "remove them from one"
                )

    def _examples(self, questions: Sequence[Question]) -> tuple[Example, ...]:
        examples: dict[str, Example] = {}
        for record in questions:
            identifier = record.id or f"{self.reference.name}-{_digest(record.content)[:16]}"
            if identifier in examples:
                if record.id is not None:
                    raise UserError(f"task {self.reference.name!r}: the id {record.id!r} occurs twice")
                # The same question again would stand in two splits or count twice.
                continue
            examples[identifier] = Example(
                id=identifier,
                prompt=self._options.prompt(record.question),
                answer=record.answer,
                attributes=dict(record.attributes),
                worked_solution=record.worked_solution,
            )
        return tuple(sorted(examples.values(), key=lambda example: _digest(example.id)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
