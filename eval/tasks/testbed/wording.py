"""The sentences in which problems are told: scenes of a plain and of another vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Operation = Literal["add", "subtract", "times"]
Surface = Literal["plain", "other"]


@dataclass(frozen=True, slots=True)
class Scene:
    """A template family. `{who}`, `{what}` and `{n}` are a name, a plural noun and a number."""

    name: str
    who: tuple[str, ...]
    what: tuple[str, ...]
    start: str
    sentences: dict[Operation, tuple[str, ...]]
    distractors: tuple[str, ...]
    question: str


_TIMES = ("Then there are {n} times as many.", "That grows {n} times.")

SCENES = (
    Scene(
        "fruit",
        ("Tom", "Anna", "Ben", "Mia"),
        ("apples", "pears", "plums"),
        "{who} picks {n} {what}.",
        {
            "add": ("{who} picks {n} more.", "A friend brings {n} more."),
            "subtract": ("{who} eats {n}.", "{who} gives away {n}."),
            "times": _TIMES,
        },
        ("{who} is {n} years old.", "The tree is {n} feet tall."),
        "How many {what} does {who} have now?",
    ),
    Scene(
        "bus",
        ("The driver", "The guide"),
        ("people", "children"),
        "A bus carries {n} {what}.",
        {
            "add": ("Then {n} get on.", "{who} lets {n} more on."),
            "subtract": ("Then {n} get off.", "{n} leave at the next stop."),
            "times": _TIMES,
        },
        ("The trip takes {n} hours.", "{who} is {n} years old."),
        "How many {what} are on the bus now?",
    ),
    Scene(
        "library",
        ("Sara", "Paul", "Nina", "Leo"),
        ("books", "maps", "letters"),
        "{who} has {n} {what}.",
        {
            "add": ("{who} gets {n} more.", "Then {who} finds {n} more."),
            "subtract": ("{who} lends {n}.", "{who} loses {n}."),
            "times": _TIMES,
        },
        ("The room has {n} chairs.", "It rains for {n} days."),
        "How many {what} does {who} have now?",
    ),
    Scene(
        "farm",
        ("The farmer", "The family"),
        ("hens", "sheep", "goats"),
        "{who} keeps {n} {what}.",
        {
            "add": ("{who} buys {n} more.", "Then {n} more are born."),
            "subtract": ("{who} sells {n}.", "Then {n} run away."),
            "times": _TIMES,
        },
        ("The farm is {n} miles away.", "The house has {n} windows."),
        "How many {what} are on the farm now?",
    ),
    Scene(
        "bakery",
        ("The baker", "Emma", "Jack"),
        ("cakes", "buns", "pies"),
        "{who} bakes {n} {what}.",
        {
            "add": ("{who} bakes {n} more.", "A helper adds {n}."),
            "subtract": ("{who} sells {n}.", "A dog eats {n}."),
            "times": _TIMES,
        },
        ("The shop opens for {n} hours.", "The oven costs {n} coins."),
        "How many {what} are left?",
    ),
    Scene(
        "savings",
        ("Kate", "Omar", "Lily", "Max"),
        ("coins", "dollars"),
        "{who} saves {n} {what}.",
        {
            "add": ("{who} earns {n} more.", "A friend gives {who} {n}."),
            "subtract": ("{who} spends {n}.", "{who} pays {n} for lunch."),
            "times": _TIMES,
        },
        ("{who} works for {n} days.", "{who} is {n} years old."),
        "How many {what} does {who} have now?",
    ),
    Scene(
        "cards",
        ("Sam", "Ella", "Noah", "Ruth"),
        ("cards", "stamps", "marbles"),
        "{who} owns {n} {what}.",
        {
            "add": ("{who} wins {n}.", "{who} gets {n} from a friend."),
            "subtract": ("{who} loses {n}.", "{who} trades away {n}."),
            "times": _TIMES,
        },
        ("The game takes {n} hours.", "The box weighs {n} pounds."),
        "How many {what} does {who} own now?",
    ),
    Scene(
        "garden",
        ("Rosa", "Finn", "Grace"),
        ("flowers", "trees", "seeds"),
        "{who} plants {n} {what}.",
        {
            "add": ("{who} plants {n} more.", "The family plants {n} more."),
            "subtract": ("The goats eat {n}.", "{who} cuts {n}."),
            "times": _TIMES,
        },
        ("The garden is {n} feet long.", "It rains for {n} days."),
        "How many {what} are in the garden now?",
    ),
)
"""The scenes of training. The policy's habits differ from scene to scene."""

HELD_OUT_SCENES = (
    Scene(
        "shop",
        ("Tom", "Sara", "Omar", "Ella"),
        ("cakes", "maps", "flowers"),
        "The shop has {n} {what}.",
        {
            "add": ("The driver brings {n} more.", "{who} adds {n}."),
            "subtract": ("{who} buys {n}.", "The shop sells {n} at lunch."),
            "times": ("Now there are {n} times as many.",),
        },
        ("The shop is {n} miles away.", "The driver works for {n} hours."),
        "How many {what} does the shop have now?",
    ),
    Scene(
        "school",
        ("Anna", "Paul", "Kate", "Noah"),
        ("children", "letters", "chairs"),
        "There are {n} {what} in the room.",
        {
            "add": ("{who} lets in {n} more.", "A guide brings {n}."),
            "subtract": ("{n} leave for lunch.", "Then {n} are away."),
            "times": ("Now there are {n} times as many.",),
        },
        ("The room has {n} windows.", "The guide is {n} years old."),
        "How many {what} are in the room now?",
    ),
)
"""Held-out templates: new sentences made of the words of `SCENES`."""

OTHER_SCENES = (
    Scene(
        "harbour",
        ("Captain Vos", "Captain Lund"),
        ("barrels", "crates"),
        "Vessel holds {n} {what}.",
        {
            "add": ("Dockers load {n} extra.", "{who} stows {n} extra."),
            "subtract": ("Dockers unload {n}.", "Waves sweep {n} overboard."),
            "times": ("Cargo multiplies by {n}.",),
        },
        ("Masts rise {n} metres.", "{who} sailed {n} seas."),
        "What total of {what} remains aboard?",
    ),
    Scene(
        "workshop",
        ("Engineer Kim", "Engineer Rao"),
        ("gears", "bolts"),
        "{who} machines {n} {what}.",
        {
            "add": ("Robots deliver {n} extra.", "{who} forges {n} extra."),
            "subtract": ("Inspectors reject {n}.", "{who} scraps {n}."),
            "times": ("Output multiplies by {n}.",),
        },
        ("Cranes reach {n} metres.", "Shifts last {n} minutes."),
        "What total of {what} remains usable?",
    ),
)
"""The second vocabulary: not one content word in common with the plain scenes."""
