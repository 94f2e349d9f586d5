"""What every room of a running search is handed: the run, and where to say how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from eval.report.data import Scores
from eval.report.table import Table
from eval.tasks.base import Task
from search.config.models import SearchConfig
from search.executors.base import Executor
from search.ledger import Ledger
from search.proposers.base import Proposer
from search.proposers.manual import ManualProposer
from search.results.ranking import Outcome
from search.results.tables import outcomes_table
from search.rounds.checks import Checks


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
    checks: Checks = field(default_factory=Checks)

    @property
    def answered_blind(self) -> bool:
        """Whether a person answers who is not to see true results while the search runs, since its feedback has none:
        it is there to show what feedback does."""
        return self.proposer.name == ManualProposer.name and self.config.search.feedback != "ranked"


TELLING = 0.05
"""Share of a phase's steps from which on its own pace says how long the rest takes."""


AROUND = 9
"""Lines of the live view that are no rows: headings, the caption, what the phase is at."""


class Progress:
    """A context manager. `planned_steps`: GRPO steps of the whole search, for the time left."""

    def __init__(self, console: Console, planned_steps: int) -> None:
        self._console = console
        self._live: Live | None = None
        self._planned_steps = planned_steps
        self._done_steps = self._phase_steps = 0
        self._training_seconds = 0.0
        self._label, self._jobs, self._ended, self._steps, self._told = "starting", 0, 0, 0, 0
        self._began = self._last = time.monotonic()
        self._table: Table | None = None
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
        self._label, self._jobs, self._ended, self._steps, self._told = label, jobs, 0, steps_per_job, 0
        self._phase_steps = 0
        self._began = self._last = time.monotonic()
        if jobs and not self._console.is_terminal:
            self._print(f"{label}: {jobs} {'job' if jobs == 1 else 'jobs'}{self._left()}")

    def job_done(self, label: str, problem: str | None, together: int = 1) -> None:
        """`problem`: what kept it from ending well, such as `unscored: ...`. Printed with the seconds since the phase
        began: of jobs side by side, the time since the one before would say nothing. `together`: training runs that
        ended at once, in one pack, of which this is one: the first to be told brings the steps of all, since the
        pack's time was that of all."""
        now = time.monotonic()
        seconds, self._last = now - self._last, now
        self._ended += 1
        if self._steps:
            self._training_seconds += seconds
            if not self._told:
                self._told = together
                self._done_steps += together * self._steps
                self._phase_steps += together * self._steps
            self._told -= 1
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
            self._console.print(self._table, soft_wrap=True)

    def _view(self) -> RenderableType:
        bar = f"{self._label}  {self._ended}/{self._jobs}" if self._jobs else self._label
        going = self.steps_in_progress() if self._steps else 0
        if going:
            bar += f", {self._ended * self._steps + going} of {self._jobs * self._steps} steps"
        line = Text(bar + self._left(going), style="bold")
        if self._table is None:
            return line
        # A live view that is higher than the terminal loses its last lines, and this one is to stay.
        size = self._console.size
        table = self._table.first(max(1, size.height - AROUND)).fitted(size.width)
        return Group(table.rich(fold=False), line)

    def _left(self, going: int = 0) -> str:
        """`going`: steps of jobs that have not ended. At the pace of the phase once a part of it is done, since phases
        differ in how many runs train together; else at that of all training so far."""
        done, here = self._done_steps + going, self._phase_steps + going
        if here and here >= TELLING * self._jobs * self._steps:
            pace = (self._last - self._began if not going else time.monotonic() - self._began) / here
        elif self._done_steps:
            pace = self._training_seconds / self._done_steps
        else:
            return ""
        return f", about {duration(max(0, self._planned_steps - done) * pace)} left"

    def _print(self, text: str) -> None:
        self._console.print(Text("".join(c if c.isprintable() else " " for c in text)), soft_wrap=True)


def duration(seconds: float) -> str:
    """Such as `45 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
