"""trackio: a database in the user's cache, or a Space or server that its variables name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from search.trackers.base import PROJECT, Point, TrackedRun, TrackedSearch


class TrackioTracker:
    """Implements `search.trackers.base.Tracker`."""

    def __init__(self, search: TrackedSearch) -> None:
        self._group = search.group
        self._project = os.environ.get("TRACKIO_PROJECT") or PROJECT
        self._facts = search.facts

    def log_search(self, points: Sequence[Point]) -> None:
        self._log(self._group, self._facts, points)

    def log_run(self, run: TrackedRun) -> None:
        self._log(f"{self._group}/{run.name}", run.facts, run.points)

    def close(self) -> None:
        """Every run is finished already."""

    def _log(self, name: str, facts: Mapping[str, str | int | float], points: Sequence[Point]) -> None:
        import trackio

        run = trackio.init(
            self._project,
            name,
            group=self._group,
            config=dict(facts),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        for point in points:
            run.log(dict(point.values), step=point.step)
        trackio.finish()
