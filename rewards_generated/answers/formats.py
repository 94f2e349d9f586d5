r"""Where a completion is asked to put its reasoning and its answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TAG = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,30}")


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    r"""Tags of the reasoning and of the answer. Without a reasoning tag the reasoning stands free; without an answer
    tag the answer stands in `\boxed{}`. `reasoning_opened`: the chat template ends with the opening reasoning tag, so
    that completions begin inside the reasoning."""

    reasoning_tag: str | None
    answer_tag: str | None
    reasoning_opened: bool = False

    def __post_init__(self) -> None:
        for field, tag in (("reasoning_tag", self.reasoning_tag), ("answer_tag", self.answer_tag)):
            if tag is not None and not TAG.fullmatch(tag):
                raise ValueError(f"{field} {tag!r} is no tag: give its letters alone, such as 'think', or null")
        if self.reasoning_opened and self.reasoning_tag is None:
            raise ValueError("reasoning_opened is true, but there is no reasoning_tag that could be open; name it")
        if self.reasoning_tag is not None and self.reasoning_tag == self.answer_tag:
            raise ValueError(f"reasoning_tag and answer_tag are both {self.answer_tag!r}; they must differ")

    @property
    def instruction(self) -> str:
        """The system prompt that asks for this format."""
        final = (
            "Put your final answer in \\boxed{}."
            if self.answer_tag is None
            else f"Then write the final answer alone between <{self.answer_tag}> and </{self.answer_tag}>."
        )
        if self.reasoning_tag is None:
            return f"Solve the problem step by step. {final}"
        reasoning = f"First write out your reasoning between <{self.reasoning_tag}> and </{self.reasoning_tag}>."
        return f"Solve the problem. {reasoning} {final}"

    @property
    def words(self) -> str:
        """The format in half a sentence, for a task's description."""
        answer = (
            "the answer in \\boxed{}" if self.answer_tag is None else f"<{self.answer_tag}>answer</{self.answer_tag}>"
        )
        if self.reasoning_tag is None:
            return answer
        opened = f" (the prompt has written <{self.reasoning_tag}> already)" if self.reasoning_opened else ""
        return f"<{self.reasoning_tag}>...</{self.reasoning_tag}> and then {answer}{opened}"

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that a completion should hold once each, in their order."""
        reasoning = (f"<{self.reasoning_tag}>", f"</{self.reasoning_tag}>")[self.reasoning_opened :]
        answer = (f"<{self.answer_tag}>", f"</{self.answer_tag}>")
        return (reasoning if self.reasoning_tag else ()) + (answer if self.answer_tag else ())

    def completion(self, reasoning: str, answer: str) -> str:
        """A well-formed completion."""
        final = (
            f"\\boxed{{{answer}}}" if self.answer_tag is None else f"<{self.answer_tag}> {answer} </{self.answer_tag}>"
        )
        return f"{self.opening}{reasoning} {self.closing}{final}"

    @property
    def opening(self) -> str:
        """What a well-formed completion begins with."""
        return f"<{self.reasoning_tag}> " if self.reasoning_tag and not self.reasoning_opened else ""

    @property
    def closing(self) -> str:
        """What stands between reasoning and answer."""
        return f"</{self.reasoning_tag}> " if self.reasoning_tag else ""

    @property
    def empty_answer(self) -> str:
        """The marks of an answer around nothing."""
        return "\\boxed{}" if self.answer_tag is None else f"<{self.answer_tag}></{self.answer_tag}>"

    @property
    def answer_opening(self) -> str:
        """The mark that opens an answer."""
        return "\\boxed{" if self.answer_tag is None else f"<{self.answer_tag}>"


ANSWER_FORMATS = {
    "solution": AnswerFormat("thinking", "solution"),
    "answer": AnswerFormat("think", "answer"),
    "boxed": AnswerFormat(None, None),
}
"""`solution`: of the reward search (arXiv 2605.02073); `answer`: of the reflection reward (arXiv 2603.14041)."""


def read_format(value: str | Mapping[str, Any] | AnswerFormat) -> AnswerFormat:
    """The format of a name (a key of `ANSWER_FORMATS`) or of its fields. Raises ValueError saying what is wrong."""
    if isinstance(value, AnswerFormat):
        return value
    if isinstance(value, str):
        if value not in ANSWER_FORMATS:
            names = ", ".join(map(repr, ANSWER_FORMATS))
            raise ValueError(f"{value!r} is no answer format: choose {names}, or give reasoning_tag and answer_tag")
        return ANSWER_FORMATS[value]
    fields = {"reasoning_tag", "answer_tag", "reasoning_opened"}
    if unknown := set(value) - fields:
        raise ValueError(f"{sorted(unknown)[0]!r} is no field of an answer format; its fields are {sorted(fields)}")
    return AnswerFormat(value.get("reasoning_tag"), value.get("answer_tag"), bool(value.get("reasoning_opened", False)))


def written_format(text: str) -> AnswerFormat:
    """As it is written on a command line: a name, or `REASONING/ANSWER` with a tag or `-` for the reasoning and a tag
    or `boxed` for the answer. Raises ValueError."""
    reasoning, slash, answer = text.partition("/")
    if not slash:
        return read_format(text)
    return AnswerFormat(None if reasoning == "-" else reasoning, None if answer == "boxed" else answer)


def format_in(code: str) -> AnswerFormat | None:
    """The format whose marks a reward's code looks for; None where it names none, or several."""
    marks = {
        "solution": "<solution>" in code or "</solution>" in code,
        "answer": "<answer>" in code or "</answer>" in code,
        "boxed": "boxed" in code,
    }
    named = [name for name, there in marks.items() if there]
    return ANSWER_FORMATS[named[0]] if len(named) == 1 else None


def format_name(form: AnswerFormat) -> str | dict[str, Any]:
    """The name of a format, or its fields where it has none: what `read_format` reads."""
    for name, known in ANSWER_FORMATS.items():
        if form == known:
            return name
    fields = {"reasoning_tag": form.reasoning_tag, "answer_tag": form.answer_tag}
    given = {name: tag for name, tag in fields.items() if tag is not None}
    return {**given, "reasoning_opened": True} if form.reasoning_opened else given
