"""Out-of-distribution suites of the testbed: problems of kinds that pretraining never showed, with matched controls.

Every suite shifts the distribution along one axis (arXiv 2510.15990). The matched control of a problem differs from it
in that axis alone and lies within the distribution of pretraining. The matched controls are a task of their own, in the
same order, so that a difference between the two is a difference of that axis.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count

from pydantic import BaseModel, ConfigDict, Field

from eval.tasks.base import Example, Split, TaskReference
from eval.tasks.builder import TaskBuilder
from eval.tasks.testbed.draws import Draws
from eval.tasks.testbed.problem import (
    CARRY_KEPT,
    HELD_OUT_COMPOSITION,
    LARGEST_VALUE,
    OPERATION_WEIGHT,
    Problem,
    ProblemOptions,
    Step,
    apply,
    carry,
    draw_problem,
)
from eval.tasks.testbed.task import BUCKETS, TestbedOptions, TestbedTask, problem_example
from eval.tasks.testbed.wording import HELD_OUT_SCENES, OTHER_SCENES, SCENES, Operation, Scene

Wanted = Callable[[Problem], bool]
Pair = tuple[Problem, Problem]
"""A problem outside the distribution of pretraining, and its matched control within it."""

_SHARES: dict[Split, range] = {"train": range(0, 40), "validation": range(40, 60), "test": range(60, 100)}
"""Of what the problems' own hash says. Matched controls go by `BUCKETS`, as all problems within the distribution do."""
_SCENES = {scene.name: scene for scene in SCENES}
_TIMES = ("Then there are {n} times as many {what}.",)
_SHOP, _SCHOOL = HELD_OUT_SCENES
NEW_TEMPLATES = (
    replace(_SHOP, sentences={**_SHOP.sentences, "times": _TIMES}),
    replace(_SCHOOL, start="{who} keeps {n} {what} in the room.", sentences={**_SCHOOL.sentences, "times": _TIMES}),
)
"""The held-out scenes without ` Now` and a leading `There`, two tokens that pretraining never shows."""


class SuiteOptions(BaseModel):
    """Sizes of the suite's splits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: int = Field(1000, ge=1, description="problems in the train split")
    validation: int = Field(500, ge=1, description="problems in the validation split")
    test: int = Field(1000, ge=1, description="problems in the test split")


@dataclass(frozen=True, slots=True)
class Axis:
    """How a suite leaves the distribution of pretraining, and what its matched controls are."""

    draw: Callable[[Draws, Wanted], Pair | None]
    """None where a draw came to nothing and is to be repeated; the matched control has to be a wanted one."""
    shifts: str
    control: str


class SuiteTask(TestbedTask):
    """The problems of an axis, or (`control`) their matched controls; extraction and equality are the testbed's."""

    __test__ = False

    def __init__(self, reference: TaskReference, axis: str, control: bool, sizes: SuiteOptions) -> None:
        super().__init__(reference, TestbedOptions(**sizes.model_dump()))
        shown = AXES[axis].control if control else AXES[axis].shifts
        self.description = f"{TestbedTask.description} {shown}"
        self._axis, self._control = axis, control

    def _problems(self, split: Split) -> Iterator[Problem]:
        return (matched if self._control else problem for problem, matched in pairs(self._axis, split))

    def _example(self, split: Split, number: int, problem: Problem) -> Example:
        example = problem_example(f"{self.reference.name}-{split}", problem)
        return replace(example, attributes={**example.attributes, "pair": number})


def pairs(axis: str, split: Split) -> Iterator[Pair]:
    """Endless: problems of the axis with matched controls. No problem and no control comes twice or in two splits,
    and the controls' arithmetic is never that of a problem in the pretraining text or in another split of the testbed.
    """
    bucket, share = BUCKETS[split], _SHARES[split]
    problems: set[str] = set()
    controls: set[str] = set()

    def wanted(matched: Problem) -> bool:
        return int(matched.content[:8], 16) % 100 in bucket and matched.content not in controls

    for index in count():
        pair = AXES[axis].draw(Draws(f"testbed-{axis}/{split}/{index}"), wanted)
        if pair is None:
            continue
        problem, matched = pair
        if problem.content not in problems and int(problem.content[8:16], 16) % 100 in share:
            problems.add(problem.content)
            controls.add(matched.content)
            yield pair


def _deeper(draws: Draws, wanted: Wanted) -> Pair | None:
    """A problem of four steps, and one or two steps more."""
    matched = draw_problem(draws, ProblemOptions(steps=(4,), distractors=(0,)))
    if not wanted(matched):
        return None
    problem = matched
    for _ in range(draws.integer(1, 2)):
        added = _next_step(draws, problem)
        if added is None:
            return None
        operation, number = added
        scene = _SCENES[problem.scene]
        step = _told(Step(operation, number, ""), scene, _words_of(problem, scene), draws)
        problem = replace(problem, steps=(*problem.steps, step))
    return problem, matched


def _next_step(draws: Draws, problem: Problem) -> tuple[Operation, int] | None:
    """An operation and a number that the rules of the testbed allow after the problem's last step; None where twenty
    draws found none, since after some there is none."""
    before = [operation for operation, _ in problem.operations]
    for _ in range(20):
        operation = draws.weighted(OPERATION_WEIGHT)
        number = draws.integer(2, 3) if operation == "times" else draws.integer(2, 35)
        if (operation == "times" and "times" in before) or (before[-1], operation) == HELD_OUT_COMPOSITION:
            continue
        if carry(operation, problem.answer, number) and not draws.chance(CARRY_KEPT):
            continue
        if 1 <= apply(operation, problem.answer, number) <= LARGEST_VALUE:
            return operation, number
    return None


def _longer(draws: Draws, wanted: Wanted) -> Pair | None:
    """A problem with one distractor, and with one or two more in drawn places."""
    matched = draw_problem(draws, ProblemOptions(distractors=(1,)))
    if not wanted(matched):
        return None
    scene = _SCENES[matched.scene]
    steps = list(matched.steps)
    for _ in range(draws.integer(1, 2)):
        step = _told(Step(None, draws.integer(2, 20), ""), scene, _words_of(matched, scene), draws)
        steps.insert(draws.integer(0, len(steps)), step)
    return replace(matched, steps=tuple(steps)), matched


def _retold(scenes: tuple[Scene, ...]) -> Callable[[Draws, Wanted], Pair | None]:
    def draw(draws: Draws, wanted: Wanted) -> Pair | None:
        """A problem of training, and the same arithmetic told in one of the scenes."""
        matched = draw_problem(draws, ProblemOptions())
        if not wanted(matched):
            return None
        scene = draws.choice(scenes)
        words = {"who": draws.choice(scene.who), "what": draws.choice(scene.what)}
        steps = tuple(_told(step, scene, words, draws) for step in matched.steps)
        opening, closing = scene.start.format(n=matched.start, **words), scene.question.format(**words)
        return Problem(scene.name, matched.start, opening, steps, closing), matched

    return draw


def _recomposed(draws: Draws, wanted: Wanted) -> Pair | None:
    """A problem with the held-out composition, and the same sentences in an order that training has, with as many
    carries."""
    problem = draw_problem(draws, ProblemOptions(distractors=(0,), compositions="held_out"))
    orders = {
        matched.content: matched
        for steps in itertools.permutations(problem.steps)
        if HELD_OUT_COMPOSITION not in itertools.pairwise(step.operation for step in steps)
        and (matched := replace(problem, steps=steps)).carries == problem.carries
        and all(1 <= value <= LARGEST_VALUE for value in _values(matched))
        and wanted(matched)
    }
    return (problem, draws.choice(list(orders.values()))) if orders else None


def _values(problem: Problem) -> Iterator[int]:
    value = problem.start
    for operation, number in problem.operations:
        value = apply(operation, value, number)
        yield value


def _told(step: Step, scene: Scene, words: dict[str, str], draws: Draws) -> Step:
    templates = scene.distractors if step.operation is None else scene.sentences[step.operation]
    return replace(step, sentence=draws.choice(templates).format(n=step.number, **words))


def _words_of(problem: Problem, scene: Scene) -> dict[str, str]:
    """Who and what the problem is about."""
    return next(
        words
        for who, what in itertools.product(scene.who, scene.what)
        if (words := {"who": who, "what": what})
        and scene.start.format(n=problem.start, **words) == problem.opening
        and scene.question.format(**words) == problem.closing
    )


AXES: dict[str, Axis] = {
    "depth": Axis(
        _deeper,
        "Reasoning depth: five or six steps, where pretraining has four at most.",
        "The first four steps of the problems of testbed-depth.",
    ),
    "length": Axis(
        _longer,
        "Input length: two or three irrelevant sentences, where pretraining has one at most, and as many steps.",
        "The problems of testbed-length with one of their irrelevant sentences.",
    ),
    "tokens": Axis(
        _retold(OTHER_SCENES),
        "Token representation: problems in a second vocabulary, each word of which pretraining has in sentences to be "
        "repeated or named, and never in a problem to be solved.",
        "The arithmetic of testbed-tokens in the scenes of pretraining.",
    ),
    "templates": Axis(
        _retold(NEW_TEMPLATES),
        "New sentences made of the words of pretraining's problems: what testbed-tokens shifts, without its words.",
        "The arithmetic of testbed-templates in the scenes of pretraining.",
    ),
    "composition": Axis(
        _recomposed,
        "Composition of operations: a subtraction right after a multiplication, which pretraining never has.",
        "The sentences of testbed-composition in an order that pretraining has, with as many carries.",
    ),
}
"""Depth comes with length, since a step is a sentence: what length alone does is what `length` shows."""


def suite_builder(name: str) -> TaskBuilder:
    """Of the suite `testbed-AXIS`, or of its matched controls `testbed-AXIS-control`."""
    axis, control = name.removeprefix("testbed-").removesuffix("-control"), name.endswith("-control")
    return TaskBuilder(name, SuiteOptions, lambda reference, options: SuiteTask(reference, axis, control, options))
