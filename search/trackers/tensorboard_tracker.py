"""Event files of TensorBoard, below the run directory: a folder per training run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from search.trackers.base import Point, TrackedRun, TrackedSearch


class TensorboardTracker:
    """Implements `search.trackers.base.Tracker`."""

    def __init__(self, search: TrackedSearch) -> None:
        self._folder = search.folder
        self._own = self._writer("search", search.facts)

    def log_search(self, points: Sequence[Point]) -> None:
        self._log(self._own, points)

    def log_run(self, run: TrackedRun) -> None:
        writer = self._writer(run.name, run.facts)
        self._log(writer, run.points)
        writer.close()

    def close(self) -> None:
        self._own.close()

    def _writer(self, name: str, facts: Mapping[str, str | int | float]) -> Any:
        from tensorboard.summary import Writer

        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        # The format has no place for them that its own pages show.
        (folder / "facts.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
        return Writer(str(folder))

    @staticmethod
    def _log(writer: Any, points: Sequence[Point]) -> None:
        for point in points:
            for name, value in point.values.items():
                writer.add_scalar(name, value, point.step)
        writer.flush()
