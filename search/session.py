"""What every room of a running search is handed: the run, and where to say how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from eval.report.data import Scores
from eval.tasks.base import Task
from search.config.models import SearchConfig
from search.executors.base import Executor
from search.ledger import Ledger
from search.proposers.base import Proposer
from search.proposers.manual import ManualProposer
from search.results.ranking import Outcome
from search.results.tables import outcomes_table


@dataclass(frozen=True, slots=True)
class Run:
    folder: Path
    config: SearchConfig
    ledger: Ledger
    task: Task
    proposer: Proposer
    executor: Executor
    progress: Progress
    caches: tuple[Path, ...] = ()
    """Folders of other searches, not being driven, that may have trained the same jobs: their results are taken."""

    @property
    def answered_blind(self) -> bool:
        """Whether a person answers who is not to see true results while the search runs, since its feedback has none:
        it is there to show what feedback does."""
        return self.proposer.name == ManualProposer.name and self.config.search.feedback != "ranked"


class Progress:
    """A context manager. `planned_steps`: GRPO steps of the whole search, for the time left."""

    def __init__(self, console: Console, planned_steps: int) -> None:
        self._console = console
        self._live: Live | None = None
        self._planned_steps = planned_steps
        self._done_steps = 0
        self._training_seconds = 0.0
        self._label, self._jobs, self._ended, self._steps = "starting", 0, 0, 0
        self._began = self._last = time.monotonic()
        self._table: RenderableType = Text("")
        self.steps_in_progress: Callable[[], int] = lambda: 0
        """Of the jobs that are running; the live view asks it."""

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=2, get_renderable=self._view, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def skip_steps(self, steps: int) -> None:
        """Steps that an earlier part of a resumed search has done."""
        self._planned_steps -= steps

    def phase(self, label: str, jobs: int, steps_per_job: int = 0) -> None:
        """A new phase with so many jobs; none: nothing is left to do in it."""
        self._label, self._jobs, self._ended, self._steps = label, jobs, 0, steps_per_job
        self._began = self._last = time.monotonic()
        if jobs and not self._console.is_terminal:
            self._print(f"{label}: {jobs} {'job' if jobs == 1 else 'jobs'}{self._left()}")

    def job_done(self, label: str, problem: str | None) -> None:
        """`problem`: what kept it from ending well, such as `unscored: ...`. Printed with the seconds since the phase
        began: of jobs side by side, the time since the one before would say nothing."""
        now = time.monotonic()
        seconds, self._last = now - self._last, now
        self._ended += 1
        if self._steps:
            self._done_steps += self._steps
            self._training_seconds += seconds
        self._print(
            f"  [{self._ended}/{self._jobs}] {label}: {problem or 'done'} at {now - self._began:.1f} s{self._left()}"
        )

    def note(self, text: str) -> None:
        self._print(text)

    def show_round(self, number: int, every: Sequence[Outcome], controls: Mapping[str, Scores | None]) -> None:
        """The table of everything scored so far, controls included."""
        self._table = outcomes_table(every, controls)
        if not self._console.is_terminal:
            self._console.print(f"after round {number}:", highlight=False)
            self._console.print(self._table)

    def _view(self) -> RenderableType:
        bar = f"{self._label}  {self._ended}/{self._jobs}" if self._jobs else self._label
        going = self.steps_in_progress() if self._steps else 0
        if going:
            bar += f", {self._ended * self._steps + going} of {self._jobs * self._steps} steps"
        return Group(self._table, Text(bar + self._left(going), style="bold"))

    def _left(self, going: int = 0) -> str:
        """`going`: steps of jobs that have not ended."""
        done = self._done_steps + going
        if not done:
            return ""
        seconds = self._training_seconds + (time.monotonic() - self._last if going else 0.0)
        return f", about {duration(max(0, self._planned_steps - done) * seconds / done)} left"

    def _print(self, text: str) -> None:
        self._console.print(Text("".join(c if c.isprintable() else " " for c in text)), soft_wrap=True)


def duration(seconds: float) -> str:
    """Such as `45 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
