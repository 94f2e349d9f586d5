"""What a user sees of a running study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console

from eval.report.data import Scores
from search.results.ranking import Outcome, ranked
from search.session import Progress


class StudyProgress(Progress):
    """A search's view, with one line instead of a table after every round: a study has many rounds."""

    def __init__(self, console: Console, planned_steps: int) -> None:
        super().__init__(console, planned_steps)
        self._place = ""
        self._worked = False

    def unit(self, place: str, label: str) -> None:
        """A new unit; `place` such as `3/15`."""
        self._place = f"[{place}] "
        self.note(f"{self._place}{label}")

    def phase(self, label: str, jobs: int, steps_per_job: int = 0) -> None:
        self._worked = self._worked or jobs > 0
        super().phase(f"{self._place}{label}", jobs, steps_per_job)

    def show_round(self, number: int, every: Sequence[Outcome], controls: Mapping[str, Scores | None]) -> None:
        if not self._worked:
            return  # A round that an earlier unit made.
        self._worked = False
        values = [s.scores.f1.value for s in ranked(list(every)) if s.scores and s.candidate.round == number]
        proposed = sum(outcome.candidate.round == number for outcome in every)
        mean = f", mean F1 {sum(values) / len(values):.3f}" if values else ""
        self.note(f"round {number}: {len(values)} of {proposed} candidates scored{mean}")
