"""What a task is: examples with stable ids, an answer format, extraction, and answer equality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypedDict

from pydantic import BaseModel, ConfigDict

from rewards_generated.answers import AnswerFormat, Extraction
from rewards_generated.errors import UserError

Split = Literal["train", "validation", "test"]


class Message(TypedDict):
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Example:
    """One question. `id` never changes between runs or machines; `attributes` holds what suites slice by."""

    id: str
    prompt: tuple[Message, ...]
    answer: str
    attributes: dict[str, Any] = field(default_factory=dict)
    worked_solution: str | None = None
    """Of the data set, for rewards that ask for it."""

    @property
    def question(self) -> str:
        """The text of the last user message: what a reward function receives as `prompt`."""
        return next(message["content"] for message in reversed(self.prompt) if message["role"] == "user")


class TaskReference(BaseModel):
    """A task as data: its registered name and the options that rebuild it in another process."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """A built-in task, such as `testbed`, `gsm8k` or `jsonl`, or one of your own as `package.module:function`."""
    options: dict[str, Any] = {}
    """Options of that task; `reward-search config --task NAME` lists them."""


class Task(Protocol):
    """A source of questions that can check answers.

    It may also have `answer_kind` (see `rewards_generated.answers.AnswerKind`; `number` where it is missing), by which
    an exported ensemble compares answers; `notes()`, a list of sentences that are shown when a search starts;
    `files()`, the local files that its questions come from (without it, those that its options name); and
    `gold_is_answer`, False where a gold answer given as an answer need not be right.
    """

    reference: TaskReference
    description: str
    """Two or three sentences for the proposer's prompt: what is asked, and in which format it is answered."""

    def examples(self, split: Split, limit: int | None = None) -> Sequence[Example]:
        """The first `limit` examples of the split, in an order that never changes. Raises UserError if empty."""
        ...

    @property
    def answer_format(self) -> AnswerFormat:
        """Where completions put reasoning and answer; base rewards, gate and export follow it."""
        ...

    def extract(self, completion: str) -> Extraction: ...

    def equal(self, extracted: str, gold: str) -> bool:
        """Whether an extracted answer equals the gold answer (values, not strings)."""
        ...


def examples_of(task: Task, split: Split, limit: int, ids: Sequence[str] | None) -> Sequence[Example]:
    """Of the first `limit` of the split those with these ids, in the split's order; None: all. Raises UserError where
    the task does not have them."""
    examples = task.examples(split, limit)
    if ids is None:
        return examples
    wanted = set(ids)
    found = [example for example in examples if example.id in wanted]
    if len(found) < len(wanted):
        raise UserError(
            f"the {split} split of the task {task.reference.name!r} lacks {len(wanted) - len(found)} of the questions "
            "to be asked: it has changed since they were drawn; put it back as it was"
        )
    return found
