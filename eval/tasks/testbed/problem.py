"""Multi-step word problems: their arithmetic, how it is drawn, and how it is told."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from eval.tasks.testbed.draws import Draws
from eval.tasks.testbed.wording import HELD_OUT_SCENES, OTHER_SCENES, SCENES, Operation, Scene, Surface

HELD_OUT_COMPOSITION: tuple[Operation, Operation] = ("times", "subtract")
"""Never one right after the other in training."""

SYMBOL: dict[Operation, str] = {"add": "+", "subtract": "-", "times": "*"}
OPERATION_WEIGHT: dict[Operation, float] = {"add": 0.42, "subtract": 0.40, "times": 0.18}
LARGEST_VALUE = 90
CARRY_KEPT = 0.35
"""Share of the drawn steps with a carry or borrow that are kept."""


class ProblemOptions(BaseModel):
    """What problems a suite holds; the defaults are the distribution of training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: tuple[int, ...] = Field((2, 3, 4), description="numbers of steps, drawn uniformly; 5 and 6 are held out")
    distractors: tuple[int, ...] = Field(
        (0, 0, 1), description="numbers of irrelevant sentences, drawn uniformly; 2 and more are held out"
    )
    surface: Surface = Field("plain", description="vocabulary: plain | other (held out)")
    templates: Literal["seen", "held_out"] = Field("seen", description="scenes: seen | held_out")
    compositions: Literal["seen", "held_out"] = Field(
        "seen", description="held_out: every problem subtracts right after multiplying, which training never does"
    )

    @field_validator("steps", "distractors")
    @classmethod
    def _in_range(cls, value: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        low = 1 if info.field_name == "steps" else 0
        if not value or not all(low <= number <= 8 for number in value):
            raise ValueError(f"needs one or more numbers from {low} to 8")
        return value

    @field_validator("compositions")
    @classmethod
    def _possible(cls, value: str, info: ValidationInfo) -> str:
        if value == "held_out" and min(info.data.get("steps", (2,))) < 2:
            raise ValueError("a composition needs two steps or more; take 1 out of the option 'steps'")
        return value

    @property
    def scenes(self) -> tuple[Scene, ...]:
        if self.surface == "other":
            return OTHER_SCENES
        return SCENES if self.templates == "seen" else HELD_OUT_SCENES


@dataclass(frozen=True, slots=True)
class Step:
    """One sentence after the first. `operation` None: a distractor, whose number does not count."""

    operation: Operation | None
    number: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Problem:
    scene: str
    start: int
    opening: str
    steps: tuple[Step, ...]
    closing: str

    @property
    def operations(self) -> tuple[tuple[Operation, int], ...]:
        return tuple((step.operation, step.number) for step in self.steps if step.operation is not None)

    @property
    def question(self) -> str:
        return " ".join((self.opening, *(step.sentence for step in self.steps), self.closing))

    @property
    def answer(self) -> int:
        value = self.start
        for operation, number in self.operations:
            value = apply(operation, value, number)
        return value

    @property
    def carries(self) -> int:
        """Number of steps with a carry or a borrow."""
        value, count = self.start, 0
        for operation, number in self.operations:
            count += carry(operation, value, number) != 0
            value = apply(operation, value, number)
        return count

    @property
    def content(self) -> str:
        """SHA-256 of the arithmetic, hex: problems that differ only in their wording have the same."""
        numbers = [self.start, *([step.operation, step.number] for step in self.steps)]
        return hashlib.sha256(json.dumps(numbers).encode()).hexdigest()


def apply(operation: Operation, value: int, number: int) -> int:
    if operation == "add":
        return value + number
    return value - number if operation == "subtract" else value * number


def carry(operation: Operation, value: int, number: int) -> int:
    """What forgetting the carry from the ones to the tens, or the borrow, adds to the result: 0, -10, -20 or +10."""
    if operation == "add":
        return -10 if value % 10 + number % 10 > 9 else 0
    if operation == "subtract":
        return 10 if value % 10 < number % 10 else 0
    return -(value % 10 * number // 10) * 10


def draw_problem(draws: Draws, options: ProblemOptions) -> Problem:
    """A problem whose values all lie in 1..90, with at most one multiplication (by 2 or 3)."""
    count = draws.choice(options.steps)
    while True:
        operations = _draw_operations(draws, count, options.compositions == "held_out")
        drawn = _draw_numbers(draws, operations)
        if drawn is not None:
            break
    start, numbers = drawn
    scene = draws.choice(options.scenes)
    words = {"who": draws.choice(scene.who), "what": draws.choice(scene.what)}

    def tell(template: str, number: int | None = None) -> str:
        return template.format(n=number, **words)

    steps = [
        Step(operation, number, tell(draws.choice(scene.sentences[operation]), number))
        for operation, number in zip(operations, numbers, strict=True)
    ]
    for _ in range(draws.choice(options.distractors)):
        number = draws.integer(2, 20)
        sentence = tell(draws.choice(scene.distractors), number)
        steps.insert(draws.integer(0, len(steps)), Step(None, number, sentence))
    return Problem(scene.name, start, tell(scene.start, start), tuple(steps), tell(scene.question))


def draw_until(draws: Draws, options: ProblemOptions, wanted: Callable[[Problem], bool]) -> Problem:
    while not wanted(problem := draw_problem(draws, options)):
        pass
    return problem


def _draw_operations(draws: Draws, count: int, held_out: bool) -> list[Operation]:
    while True:
        operations = [draws.weighted(OPERATION_WEIGHT) for _ in range(count)]
        pairs = list(itertools.pairwise(operations))
        if operations.count("times") <= 1 and (HELD_OUT_COMPOSITION in pairs) == held_out:
            return operations


def _draw_numbers(draws: Draws, operations: list[Operation]) -> tuple[int, list[int]] | None:
    """Start and operands, or None where the draw ran out of bounds and is to be repeated."""
    start = value = draws.integer(3, 40)
    numbers = []
    for operation in operations:
        number = draws.integer(2, 3) if operation == "times" else draws.integer(2, 35)
        if carry(operation, value, number) and not draws.chance(CARRY_KEPT):
            return None
        value = apply(operation, value, number)
        if not 1 <= value <= LARGEST_VALUE:
            return None
        numbers.append(number)
    return start, numbers
