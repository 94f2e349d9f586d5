"""A task made of question-answer records: the common body of `gsm8k`, `math` and a user's own JSONL."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from eval.tasks.base import Example, Split, TaskReference
from rewards_generated.answers import ANSWER_FORMATS, AnswerKind, Extraction, equal_answers, extract_answer
from rewards_generated.errors import UserError


@dataclass(frozen=True, slots=True)
class Question:
    """One record, read and checked. `id` is None where the source has none: one is made from the question."""

    question: str
    answer: str
    id: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)


Source = Callable[[], Sequence[Question]]
"""Reads one split when it is first needed; raises UserError where it cannot."""


class QuestionTask:
    """Questions with gold answers in train, validation and test splits.

    Where there is no validation source, `validation_size` questions are carved out of train. Ids are derived from
    the question's text unless the source has its own, and both the carving and the order of every split follow a
    hash of the id: adding a question moves no other one between splits, and the first `limit` examples of a split
    are a random sample of it.
    """

    def __init__(
        self,
        reference: TaskReference,
        sources: Mapping[Split, Source],
        description: str,
        answer_format: str,
        answer_kind: AnswerKind,
        validation_size: int,
        system_prompt: str | None = None,
    ) -> None:
        self.reference = reference
        self.description = description
        self.answer_format = ANSWER_FORMATS[answer_format]
        self.answer_kind: AnswerKind = answer_kind
        self.system_prompt = self.answer_format.instruction if system_prompt is None else system_prompt
        self._sources = sources
        self._validation_size = validation_size
        self._splits: dict[Split, tuple[Example, ...]] = {}

    def examples(self, split: Split, limit: int | None = None) -> Sequence[Example]:
        if split not in self._splits:
            self._read(split)
        found = self._splits[split]
        if not found:
            raise UserError(f"task {self.reference.name!r} has no {split} questions")
        if limit is not None and limit < 1:
            raise UserError(f"limit = {limit} of the {split} split: ask for at least 1 example")
        return found[:limit]

    def extract(self, completion: str) -> Extraction:
        return extract_answer(completion, self.answer_format, self.answer_kind)

    def equal(self, extracted: str, gold: str) -> bool:
        return equal_answers(extracted, gold, self.answer_kind)

    def _read(self, split: Split) -> None:
        carved = "validation" not in self._sources and split in ("train", "validation")
        source = "train" if carved else split
        if source not in self._sources:
            raise UserError(f"task {self.reference.name!r} has no {source} split: name one in its options")
        examples = self._examples(self._sources[source]())
        self._require_unseen(source, examples)
        if not carved:
            self._splits[split] = examples
            return
        if len(examples) <= self._validation_size:
            raise UserError(
                f"task {self.reference.name!r}, option 'validation_size' = {self._validation_size}: "
                f"train has only {len(examples)} questions; choose a smaller number"
            )
        self._splits["validation"] = examples[: self._validation_size]
        self._splits["train"] = examples[self._validation_size :]

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
            identifier = record.id or f"{self.reference.name}-{_digest(record.question)[:16]}"
            if identifier in examples:
                if record.id is not None:
                    raise UserError(f"task {self.reference.name!r}: the id {record.id!r} occurs twice")
                # The same question again would stand in two splits or count twice.
                continue
            prompt = ({"role": "system", "content": self.system_prompt},) if self.system_prompt else ()
            examples[identifier] = Example(
                id=identifier,
                prompt=(*prompt, {"role": "user", "content": record.question}),
                answer=record.answer,
                attributes=dict(record.attributes),
            )
        return tuple(sorted(examples.values(), key=lambda example: _digest(example.id)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
