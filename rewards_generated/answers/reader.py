"""How a task's answers are read and compared: what base rewards, gate and evaluation share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rewards_generated.answers.equality import equal_answers
from rewards_generated.answers.extraction import AnswerKind, Extraction, extract_answer
from rewards_generated.answers.formats import ANSWER_FORMATS, AnswerFormat


class AnswerReader(Protocol):
    """A task is one; so are `AnswerRules`, where there is no task."""

    @property
    def answer_format(self) -> AnswerFormat: ...

    def extract(self, completion: str) -> Extraction: ...

    def equal(self, extracted: str, gold: str) -> bool:
        """Whether an extracted answer equals the gold answer (values, not strings)."""
        ...


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """Format and kind of the answers."""

    answer_format: AnswerFormat = ANSWER_FORMATS["solution"]
    answer_kind: AnswerKind = "number"

    def extract(self, completion: str) -> Extraction:
        return extract_answer(completion, self.answer_format, self.answer_kind)

    def equal(self, extracted: str, gold: str) -> bool:
        return equal_answers(extracted, gold, self.answer_kind)


def is_right(reader: AnswerReader, completion: str, gold: str) -> bool:
    """Whether the answer that stands where the format wants it equals the gold one."""
    given = reader.extract(completion).strict
    return given is not None and reader.equal(given, gold)
