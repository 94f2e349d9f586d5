"""Trackers for tests, named in place of ours: `tests.search.trackers.trackers:Recording`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from search.trackers.base import Point, TrackedRun, TrackedSearch


class Recording:
    """Writes what it is told to `told.jsonl` in its folder."""

    def __init__(self, search: TrackedSearch) -> None:
        self._file = search.folder / "told.jsonl"
        self._told({"began": search.group, "facts": dict(search.facts)})

    def log_search(self, points: Sequence[Point]) -> None:
        self._told({"search": [[point.step, dict(point.values)] for point in points]})

    def log_run(self, run: TrackedRun) -> None:
        points = [[point.step, dict(point.values)] for point in run.points]
        self._told({"run": run.name, "facts": dict(run.facts), "points": points, "failed": run.failed})

    def close(self) -> None:
        self._told({"closed": True})

    def _told(self, what: Mapping[str, Any]) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(what) + "\n")


class Failing(Recording):
    def log_run(self, run: TrackedRun) -> None:
        raise ConnectionError("the server\nis away")


class Hanging(Recording):
    def close(self) -> None:
        time.sleep(600)
