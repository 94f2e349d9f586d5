"""Which responses of the first layer go on to the second: always as many, whatever qualifies."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from eval.tasks.base import Message
from trainer.multilayer.algorithm import Multilayer

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Response:
    """A completion of the first layer, judged."""

    prompt: tuple[Message, ...]
    question: str
    text: str
    answer: str
    correct: bool
    total: float | None
    """What the rewards of the run give it together; None: it could not be scored."""
    worked_solution: str | None = None
    """Of its question."""


@dataclass(frozen=True, slots=True)
class Place:
    """A response that is corrected, `corrections` times."""

    response: Response
    shown: str
    """The text that the second prompt shows: the response's own, but under the control `random_response`."""
    qualified: bool
    """False: no response of the step qualified, and this one only fills the batch; nothing is learned from it."""


def select(groups: Sequence[Sequence[Response]], settings: Multilayer, per_question: int, seed: int) -> list[Place]:
    """`per_question` places for each group of responses to one question, the places of a question side by side.

    Only `seed` decides what is left to chance. Raises ValueError for no responses.
    """
    draws = random.Random(seed)
    able = [index for index, group in enumerate(groups) if any(_qualifies(item, settings) for item in group)]
    qualified = bool(able)
    deputies = iter(_in_turn(able or range(len(groups)), len(groups), draws))
    places: list[Place] = []
    for index in range(len(groups)):
        group = groups[index] if index in able or not qualified else groups[next(deputies)]
        for response in _responses(group, settings, per_question, index, qualified, draws):
            places.append(Place(response, response.text, qualified))
    if settings.control == "random_response":
        everything = [item for group in groups for item in group]
        return [Place(place.response, _another(place.response, everything, draws), qualified) for place in places]
    return places


def _qualifies(response: Response, settings: Multilayer) -> bool:
    if settings.select == "best":
        return response.total is not None
    return settings.select != "wrong" or not response.correct


def _responses(
    group: Sequence[Response],
    settings: Multilayer,
    count: int,
    index: int,
    qualified: bool,
    draws: random.Random,
) -> list[Response]:
    wrong = [item for item in group if not item.correct]
    right = [item for item in group if item.correct]
    if settings.select == "mixed" and wrong and right:
        # An odd place is a wrong response's in every other question.
        first = (count + (index + 1) % 2) // 2
        return [*_in_turn(wrong, first, draws), *_in_turn(right, count - first, draws)]
    if settings.select == "best" and qualified:
        return _best(group, count, draws)
    chosen = wrong if settings.select == "wrong" and qualified else group
    if settings.select == "all" and count == len(group):
        return list(group)
    return _in_turn(chosen, count, draws)


def _best(group: Sequence[Response], count: int, draws: random.Random) -> list[Response]:
    """Those with the highest totals, the best first; who comes first of equals is left to chance."""
    scored = [(item.total, item) for item in _in_turn(group, len(group), draws) if item.total is not None]
    order = [item for _, item in sorted(scored, key=lambda pair: -pair[0])]
    return [order[place % len(order)] for place in range(count)]


def _in_turn(items: Sequence[Item], count: int, draws: random.Random) -> list[Item]:
    """`count` items, each once before any again: one permutation after the other."""
    found: list[Item] = []
    while len(found) < count:
        permutation = list(items)
        draws.shuffle(permutation)
        found += permutation
    return found[:count]


def _another(response: Response, everything: Sequence[Response], draws: random.Random) -> str:
    """The text of a response to another question; to any, if there is only one question."""
    others = [item for item in everything if item.question != response.question]
    return draws.choice(others or list(everything)).text
