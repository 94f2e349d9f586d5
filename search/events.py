"""What a running search tells of itself: small values, for whoever drives it from Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eval.report.data import Scores
from search.results.ranking import Outcome, ranked
from search.session import Progress


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    label: str
    jobs: int
    """Those that are left to do in it."""


@dataclass(frozen=True, slots=True)
class JobEnded:
    label: str
    problem: str | None
    """What kept it from ending well; None: nothing."""


@dataclass(frozen=True, slots=True)
class RoundRanked:
    round: int
    ranking: tuple[tuple[str, Scores], ...]
    """All candidates scored so far, best first, on the split that ranks."""


@dataclass(frozen=True, slots=True)
class Note:
    text: str


Event = PhaseStarted | JobEnded | RoundRanked | Note


class EventProgress(Progress):
    """Tells a function instead of a terminal."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self._on_event = on_event

    def __enter__(self) -> EventProgress:
        return self

    def __exit__(self, *ended: object) -> None:
        """Nothing is held open."""

    def skip_steps(self, steps: int) -> None:
        """No time is foretold."""

    def phase(self, label: str, jobs: int, steps_per_job: int = 0) -> None:
        self._on_event(PhaseStarted(label, jobs))

    def job_done(self, label: str, problem: str | None, together: int = 1) -> None:
        self._on_event(JobEnded(label, problem))

    def note(self, text: str) -> None:
        self._on_event(Note(text))

    def show_round(self, number: int, every: Sequence[Outcome], controls: Mapping[str, Scores | None]) -> None:
        order = ((item.candidate.name, item.scores) for item in ranked(list(every)))
        self._on_event(RoundRanked(number, tuple((name, scores) for name, scores in order if scores is not None)))
