"""Small Python functions to be written, each checked by tests in the sandbox."""

from __future__ import annotations

import textwrap
from functools import partial

from pydantic import Field, field_validator, model_validator

from eval.tasks.base import TaskReference
from eval.tasks.builder import TaskBuilder
from eval.tasks.generated.families import FAMILIES, Family
from eval.tasks.generated.task import Drawn, GeneratedOptions, GeneratedTask
from eval.tasks.testbed.draws import Draws

ATTEMPTS_PER_TEST = 20
"""Arguments drawn to find a new one."""


class FunctionOptions(GeneratedOptions):
    train: int = Field(600, ge=1)
    """Questions in the train split."""
    validation: int = Field(200, ge=1)
    """Questions in the validation split."""
    test: int = Field(300, ge=1)
    """Questions in the test split."""
    levels: tuple[int, ...] = (1, 2, 3)
    """Which levels of difficulty: 1 one expression, 2 lists and texts, 3 loops with state."""
    tests: int = Field(8, ge=2, le=50)
    """Tests of every function at the most; one of them is shown as an example."""

    @field_validator("levels")
    @classmethod
    def _known(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or not set(value) <= {1, 2, 3}:
            raise ValueError("needs one or more of 1, 2 and 3")
        return value

    @model_validator(mode="after")
    def _between_tags(self) -> FunctionOptions:
        if self.answer_format.answer_tag is None:
            raise ValueError("programs stand between tags: choose an `answer_format` with an answer_tag")
        return self


def _make(reference: TaskReference, options: FunctionOptions) -> GeneratedTask:
    return GeneratedTask(
        reference,
        options,
        partial(draw_function, options=options),
        "Small functions to be written in Python, described in a sentence with one example. An answer is a program, "
        "and right if it passes every test within three seconds in a sandbox without files, network or packages but "
        "some of the standard library. The gold answer is a solution followed by the tests as `assert` "
        "lines.",
        "program",
    )


build = TaskBuilder("code", FunctionOptions, _make)


def draw_function(draws: Draws, options: FunctionOptions) -> Drawn:
    family = draws.choice([family for family in FAMILIES if family.level in options.levels])
    k = draws.integer(*family.k)
    c = family.c(draws) if family.c is not None else None
    content = f"{family.name} k={k} c={c}"
    # The tests of a function are the same in whatever place of a split it is drawn.
    calls = _calls(Draws(f"tests/{content}"), family, options.tests)
    results = [family.expected(argument, k, c) for argument in calls]
    asserts = [
        f"assert {family.name}({argument!r}) == {result!r}" for argument, result in zip(calls, results, strict=True)
    ]
    body = textwrap.indent(family.solution.format(k=k, c=c), "    ")
    return Drawn(
        content=content,
        question=(
            f"Write a Python function `{family.name}({family.argument})` that returns {family.ask.format(k=k, c=c)}. "
            f"For example, `{family.name}({calls[0]!r})` returns `{results[0]!r}`. Answer with the program alone."
        ),
        answer="\n".join([f"def {family.name}({family.argument}):", body, "", "", *asserts]),
        attributes={"family": family.name, "level": family.level},
    )


def _calls(draws: Draws, family: Family, tests: int) -> list[object]:
    """Distinct arguments, as many as can be found."""
    found: dict[str, object] = {}
    for _ in range(ATTEMPTS_PER_TEST * tests):
        argument = family.draw(draws)
        found.setdefault(repr(argument), argument)
        if len(found) == tests:
            break
    return list(found.values())
