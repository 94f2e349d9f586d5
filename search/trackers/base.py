"""The contract of trackers: figures of a search and of its training runs in, nothing out; and those by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, get_args

from rewards_generated.errors import UserError
from rewards_generated.loading import load_object

TrackerName = Literal["tensorboard", "trackio", "wandb", "mlflow"]
PROJECT = "reward-search"
"""What holds all searches where the tracker's own variables name no other."""
_CLASSES = {name: f"search.trackers.{name}_tracker:{name.capitalize()}Tracker" for name in get_args(TrackerName)}


class Point(NamedTuple):
    """Figures at one step."""

    step: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A training run that is over: of a candidate, of an ensemble, or of the base rewards alone."""

    name: str
    """Unique in its search, such as `screening/terse_check/seed-1804289383`."""
    facts: Mapping[str, str | int | float]
    """What it was, for filters and groups."""
    points: Sequence[Point]
    failed: bool


@dataclass(frozen=True, slots=True)
class TrackedSearch:
    group: str
    """Unique among all searches; the runs of one stand together under it."""
    facts: Mapping[str, str | int | float]
    folder: Path
    """Where the tracker may keep files, absolute."""


class Tracker(Protocol):
    """One search in one tracker; built with a `TrackedSearch` by a process that does nothing else.

    It may take its time, print, and raise whatever it likes.
    """

    def log_search(self, points: Sequence[Point]) -> None:
        """Of the search itself. Steps of different figures have nothing to do with each other."""
        ...

    def log_run(self, run: TrackedRun) -> None: ...

    def close(self) -> None:
        """All that was logged is kept, or sent."""
        ...


def build_tracker(name: str, search: TrackedSearch) -> Tracker:
    """Imports the tracker's package."""
    tracker: Tracker = load_object(name, _CLASSES, "trackers", "tracker")(search)
    return tracker


def require_trackers(names: Sequence[TrackerName]) -> None:
    """Raises UserError for one whose package is not installed; imports none."""
    for name in names:
        if find_spec(name) is None:
            raise UserError(
                f"`trackers` names {name!r}, whose package is not installed: pip install 'reward-search[{name}]', or "
                "leave it out"
            )
