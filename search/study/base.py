"""The contract of studies: what they consist of, how a part of them is run, and what they report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from eval.report.study.data import StudyReport
from search.config.models import SearchConfig
from search.session import Progress

Size = Literal["quick", "full"]
"""`quick`: minutes on two cores, to see the study run; `full`: a GPU, or about an hour, to learn something."""

Result = dict[str, Any]
"""What a unit measured, as plain JSON values."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Upper bounds of what a part of a study takes."""

    candidates: int = 0
    """Proposed and checked."""
    trainings: int = 0
    processes: int = 0
    """That load the base policy: one for every pack or single run."""
    steps: int = 0
    """Optimizer steps of all trainings."""
    completions: int = 0
    """Sampled in training."""
    questions: int = 0
    """Greedy answers."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.candidates + other.candidates,
            self.trainings + other.trainings,
            self.processes + other.processes,
            self.steps + other.steps,
            self.completions + other.completions,
            self.questions + other.questions,
        )


@dataclass(frozen=True, slots=True)
class Unit:
    """A part of a study that is run and recorded as one. It may build on units before it."""

    name: str
    """Unique, and fit for a file name."""
    label: str
    """For people."""
    cost: Cost


@dataclass(frozen=True, slots=True)
class StudyContext:
    """What a unit works with."""

    folder: Path
    """Of the whole study. A unit writes below it, so that it can go on where it was interrupted."""
    progress: Progress
    results: Mapping[str, Result]
    """Of the units that ended before, by name."""


class Study(Protocol):
    name: str
    """As on the command line."""
    size: Size
    seeds: int
    """Runs per arm, each with a seed of its own; the arms share the seeds."""
    config: SearchConfig
    """Task, base policy and training of every run; its seed is the first of the seeds."""

    def __init__(self, size: Size, seeds: int, config: SearchConfig) -> None:
        """Raises UserError for settings under which the study has no answer."""
        ...

    @classmethod
    def defaults(cls, size: Size) -> tuple[int, tuple[str, ...]]:
        """Seeds, and the `field=value` assignments that make the preset `testbed` the configuration of that size."""
        ...

    @property
    def outline(self) -> Sequence[str]:
        """Sentences that say what the study does, for a plan."""
        ...

    def units(self) -> Sequence[Unit]:
        """In the order in which they run. A function of the constructor's arguments alone."""
        ...

    def run(self, unit: Unit, place: StudyContext) -> Result:
        """Runs the unit, or what is left of it if it was interrupted. Raises UserError where it cannot."""
        ...

    def report(self, results: Mapping[str, Result]) -> StudyReport:
        """What the units recorded so far say; all of them, if the study is over."""
        ...
