"""Countdown: reach a target with given numbers, each used at most once."""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import Field, field_validator

from eval.tasks.base import TaskReference
from eval.tasks.builder import TaskBuilder
from eval.tasks.generated.task import Drawn, GeneratedOptions, GeneratedTask
from eval.tasks.testbed.draws import Draws

Sign = Literal["+", "-", "*", "/"]


class CountdownOptions(GeneratedOptions):
    numbers: tuple[int, ...] = (3, 4)
    """How many numbers are given, drawn uniformly from these."""
    largest: int = Field(25, ge=5, le=1_000)
    """Numbers lie in 1..largest."""
    largest_target: int = Field(100, ge=10, le=10_000)
    """Targets lie in 2..largest_target, and are none of the numbers."""
    signs: tuple[Sign, ...] = ("+", "-", "*", "/")
    """What may stand between numbers."""

    @field_validator("numbers")
    @classmethod
    def _possible(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or not all(2 <= number <= 8 for number in value):
            raise ValueError("needs one or more numbers from 2 to 8")
        return value

    @field_validator("signs")
    @classmethod
    def _some(cls, value: tuple[Sign, ...]) -> tuple[Sign, ...]:
        if not value:
            raise ValueError("needs one or more of + - * /")
        return value


def _make(reference: TaskReference, options: CountdownOptions) -> GeneratedTask:
    signs = ", ".join(options.signs)
    return GeneratedTask(
        reference,
        options,
        partial(draw_countdown, options=options),
        f"Countdown: some whole numbers and a target are given, and the answer is an expression with {signs} and "
        "brackets that uses each number at most once and has the target as its value. Many expressions can be right; "
        "the gold answer is one of them, which uses all numbers.",
        "expression",
    )


build = TaskBuilder("countdown", CountdownOptions, _make)


def draw_countdown(draws: Draws, options: CountdownOptions) -> Drawn | None:
    """A target that some expression of all numbers reaches by positive whole numbers alone."""
    count = draws.choice(options.numbers)
    numbers = [draws.integer(1, options.largest) for _ in range(count)]
    combined = _combined(draws, numbers, options.signs)
    if combined is None or not 2 <= combined[0] <= options.largest_target or combined[0] in numbers:
        return None
    target, expression = combined
    listed = ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"
    return Drawn(
        content=f"{sorted(numbers)} -> {target}",
        question=(
            f"Use the numbers {listed} to make {target}. Each number may be used at most once, with "
            f"{' '.join(options.signs)} and brackets. Answer with the expression alone."
        ),
        answer=expression.removeprefix("(").removesuffix(")"),
        attributes={"numbers": count, "target": target},
    )


def _combined(draws: Draws, numbers: list[int], signs: tuple[Sign, ...]) -> tuple[int, str] | None:
    """Value and text of an expression of all numbers, every sign within brackets of its own; None where a step would
    leave the positive whole numbers."""
    parts = [(number, str(number)) for number in numbers]
    while len(parts) > 1:
        first, first_text = parts.pop(draws.integer(0, len(parts) - 1))
        second, second_text = parts.pop(draws.integer(0, len(parts) - 1))
        sign = draws.choice(signs)
        value = _applied(sign, first, second)
        if value is None:
            return None
        parts.append((value, f"({first_text} {sign} {second_text})"))
    return parts[0]


def _applied(sign: Sign, first: int, second: int) -> int | None:
    if sign == "+":
        return first + second
    if sign == "*":
        return first * second
    if sign == "-":
        return first - second if first > second else None
    return first // second if first % second == 0 else None
