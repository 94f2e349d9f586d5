"""Weights & Biases: a run for the search, one for each training run, all in the search's group."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from search.trackers.base import PROJECT, Point, TrackedRun, TrackedSearch


class WandbTracker:
    """Implements `search.trackers.base.Tracker`. Its own variables (WANDB_PROJECT, WANDB_ENTITY, WANDB_MODE, ...)
    hold."""

    def __init__(self, search: TrackedSearch) -> None:
        self._search = search
        self._own = self._begun(search.group, "search", search.facts)

    def log_search(self, points: Sequence[Point]) -> None:
        self._log(self._own, points)

    def log_run(self, run: TrackedRun) -> None:
        begun = self._begun(run.name, run.name.partition("/")[0], run.facts)
        self._log(begun, run.points)
        begun.finish(exit_code=int(run.failed))

    def close(self) -> None:
        self._own.finish()

    def _begun(self, name: str, kind: str, facts: Mapping[str, str | int | float]) -> Any:
        import wandb

        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=name,
            # The same when a search is resumed, so that its figures go on in one run.
            id=hashlib.sha256(f"{self._search.group}\n{name}".encode()).hexdigest()[:16],
            resume="allow",
            group=self._search.group,
            job_type=kind,
            config=dict(facts),
            dir=str(self._search.folder),
            reinit="create_new",
            settings=wandb.Settings(console="off", x_disable_stats=True),
        )
        run.define_metric("*", step_metric="step")
        return run

    @staticmethod
    def _log(run: Any, points: Sequence[Point]) -> None:
        for point in points:
            run.log({**point.values, "step": point.step})
