"""Word problems of one to three steps in plain English, about everyday counting."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from pydantic import Field, field_validator

from eval.tasks.base import TaskReference
from eval.tasks.builder import TaskBuilder
from eval.tasks.generated.task import Drawn, GeneratedOptions, GeneratedTask
from eval.tasks.testbed.draws import Draws

Operation = Literal["add", "subtract", "multiply", "divide"]
SYMBOL: dict[Operation, str] = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
LARGEST_FACTOR = 9


class WordProblemOptions(GeneratedOptions):
    steps: tuple[int, ...] = (1, 2, 3)
    """Numbers of steps, drawn uniformly."""
    largest: int = Field(200, ge=20, le=100_000)
    """Every number and every result lies in 1..largest."""
    operations: Annotated[tuple[Operation, ...], Field(min_length=1)] = ("add", "subtract", "multiply", "divide")
    """What the steps do."""
    distractors: tuple[int, ...] = (0, 0, 1)
    """How many sentences have a number that does not matter, drawn uniformly."""

    @field_validator("steps", "distractors")
    @classmethod
    def _in_range(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or not all(0 <= number <= 6 for number in value):
            raise ValueError("needs one or more numbers from 0 to 6")
        return value

    @field_validator("steps")
    @classmethod
    def _some_steps(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if 0 in value:
            raise ValueError("a problem has at least 1 step")
        return value


@dataclass(frozen=True, slots=True)
class Scene:
    """Sentences with {who}, {what}, and where they tell a step {n}."""

    name: str
    what: tuple[str, ...]
    opening: tuple[str, ...]
    add: tuple[str, ...]
    subtract: tuple[str, ...]
    multiply: tuple[str, ...]
    divide: tuple[str, ...]
    distractors: tuple[str, ...]
    question: tuple[str, ...]


WHO = ("Amina", "Ben", "Clara", "Dmitri", "Esther", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kenji", "Lucia")

SCENES = (
    Scene(
        "collection",
        ("stamps", "marbles", "shells", "trading cards", "coins"),
        ("{who} has a collection of {n} {what}.", "In a box under the bed {who} keeps {n} {what}."),
        ("A cousin sends {who} {n} more.", "At the flea market {who} finds another {n} {what}."),
        ("{who} gives {n} of them to a friend.", "Moving house, {who} loses {n} {what}."),
        ("Over the next years the collection grows to {n} times its size.",),
        ("{who} divides the {what} evenly among {n} albums and keeps just one album.",),
        ("The box is {n} centimetres wide.", "{who}'s brother is {n} years old.", "The newest album has {n} pages."),
        ("How many {what} does {who} have now?", "How many {what} are left in {who}'s collection?"),
    ),
    Scene(
        "bakery",
        ("rolls", "muffins", "pretzels", "bagels"),
        ("In the morning {who} bakes {n} {what}.", "{who}'s bakery opens with {n} {what} on the counter."),
        ("By noon another {n} come out of the oven.", "{who} bakes {n} more {what}."),
        ("Customers buy {n} of them.", "{n} {what} turn out burnt and are thrown away."),
        ("For a festival {who} bakes until there are {n} times as many.",),
        ("{who} packs all of them into {n} equal bags and takes a single bag to the market.",),
        ("The oven is {n} years old.", "A coffee costs {n} cents more than last year."),
        ("How many {what} does {who} have then?", "With how many {what} does {who} end up?"),
    ),
    Scene(
        "library",
        ("books", "magazines", "atlases", "comics"),
        ("The shelf that {who} looks after holds {n} {what}.", "{who} counts {n} {what} on a library shelf."),
        ("A school donates {n} more.", "Readers bring back {n} {what}."),
        ("Readers borrow {n} of them.", "{who} takes {n} worn {what} away."),
        ("After a large donation the shelf holds {n} times as many as before.",),
        ("{who} spreads all of them evenly over {n} shelves and goes on with one of these shelves.",),
        ("The library opened {n} years ago.", "{who} has worked there for {n} months."),
        ("How many {what} are on {who}'s shelf in the end?", "How many {what} does the shelf hold now?"),
    ),
    Scene(
        "orchard",
        ("apples", "pears", "plums", "lemons"),
        ("{who} picks {n} {what} before breakfast.", "There are {n} {what} in {who}'s basket."),
        ("{who} picks {n} more.", "A neighbour adds {n} {what} to the basket."),
        ("{n} of them are rotten and thrown out.", "{who} sells {n} {what} at the gate."),
        ("With everybody's help there are soon {n} times as many.",),
        ("All of them are shared out equally among {n} people, {who} being one, who takes one share home.",),
        ("The oldest tree is {n} years old.", "It is {n} kilometres to the next village."),
        ("How many {what} does {who} have at the end?", "How many {what} is {who} left with?"),
    ),
    Scene(
        "savings",
        ("dollars", "euros", "francs"),
        ("{who} has saved {n} {what}.", "{who} starts the month with {n} {what}."),
        ("A small job pays {who} {n} {what}.", "For a birthday {who} gets {n} {what}."),
        ("{who} spends {n} {what} on a pair of shoes.", "A train ticket costs {who} {n} {what}."),
        ("A lucky sale turns this into {n} times the amount.",),
        ("{who} splits the money into {n} equal parts and puts all but one part into the bank.",),
        ("The shop is {n} minutes away.", "{who} has {n} friends in the same street."),
        ("How many {what} does {who} have in hand now?", "How much money, in {what}, does {who} have at hand?"),
    ),
)


def _make(reference: TaskReference, options: WordProblemOptions) -> GeneratedTask:
    least, most = min(options.steps), max(options.steps)
    steps = f"{least} {'step' if least == 1 else 'steps'}" if least == most else f"{least} to {most} steps"
    return GeneratedTask(
        reference,
        options,
        partial(draw_word_problem, options=options),
        f"Word problems in plain English about everyday counting, of {steps} of arithmetic with whole numbers up to "
        f"{options.largest}; some have a number that does not matter. The answer is one whole number.",
        "number",
    )


build = TaskBuilder("word-problems", WordProblemOptions, _make)


def draw_word_problem(draws: Draws, options: WordProblemOptions) -> Drawn | None:
    scene = draws.choice(SCENES)
    words = {"who": draws.choice(WHO), "what": draws.choice(scene.what)}
    start = draws.integer(2, options.largest)
    value, steps, worked = start, [], []
    for _ in range(draws.choice(options.steps)):
        numbers = {
            operation: found for operation in options.operations if (found := _numbers(operation, value, options))
        }
        if not numbers:
            return None
        operation = draws.choice(list(numbers))
        number = draws.choice(numbers[operation])
        before, value = value, _result(operation, value, number)
        worked.append(f"{before} {SYMBOL[operation]} {number} = {value}.")
        steps.append((operation, number))
    told = [draws.choice(getattr(scene, operation)).format(n=number, **words) for operation, number in steps]
    distractors = draws.choice(options.distractors)
    for _ in range(distractors):
        sentence = draws.choice(scene.distractors).format(n=draws.integer(2, 60), **words)
        told.insert(draws.integer(0, len(told)), sentence)
    opening, question = draws.choice(scene.opening), draws.choice(scene.question)
    return Drawn(
        content=json.dumps([start, *steps]),
        question=" ".join([opening.format(n=start, **words), *told, question.format(**words)]),
        answer=str(value),
        attributes={
            "steps": len(steps),
            "operations": [operation for operation, _ in steps],
            "scene": scene.name,
            "distractors": distractors,
        },
        worked_solution=" ".join(worked),
    )


def _numbers(operation: Operation, value: int, options: WordProblemOptions) -> Sequence[int]:
    """Those that the operation can be done with, so that its result lies in 1..largest."""
    if operation == "add":
        return range(2, options.largest - value + 1)
    if operation == "subtract":
        return range(2, value)
    if operation == "multiply":
        return range(2, min(LARGEST_FACTOR, options.largest // value) + 1)
    return [number for number in range(2, LARGEST_FACTOR + 1) if value % number == 0]


def _result(operation: Operation, value: int, number: int) -> int:
    if operation == "add":
        return value + number
    if operation == "subtract":
        return value - number
    return value * number if operation == "multiply" else value // number
