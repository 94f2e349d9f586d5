"""MLflow: a run for the search, and one below it for each training run."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from search.trackers.base import PROJECT, Point, TrackedRun, TrackedSearch

AT_ONCE, PARAMETERS_AT_ONCE = 1000, 100
"""Metrics and parameters that MLflow takes in one call."""
GROUP, PARENT = "reward_search.group", "mlflow.parentRunId"
"""Tags: of the search's own run, and MLflow's for what stands below another run."""


class MlflowTracker:
    """Implements `search.trackers.base.Tracker`. MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME hold."""

    def __init__(self, search: TrackedSearch) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        known = self._client.get_experiment_by_name(name)
        self._experiment = known.experiment_id if known else self._client.create_experiment(name)
        found = self._client.search_runs([self._experiment], f"tags.`{GROUP}` = '{search.group}'", max_results=1)
        self._own = found[0].info.run_id if found else self._begun(search.group, search.facts, {GROUP: search.group})
        self._client.update_run(self._own, status="RUNNING")

    def log_search(self, points: Sequence[Point]) -> None:
        self._log(self._own, points)

    def log_run(self, run: TrackedRun) -> None:
        begun = self._begun(run.name, run.facts, {PARENT: self._own})
        self._log(begun, run.points)
        self._client.set_terminated(begun, "FAILED" if run.failed else "FINISHED")

    def close(self) -> None:
        self._client.set_terminated(self._own)

    def _begun(self, name: str, facts: Mapping[str, str | int | float], tags: dict[str, str]) -> str:
        from mlflow.entities import Param

        run: str = self._client.create_run(self._experiment, run_name=name, tags=tags).info.run_id
        parameters = [Param(key, str(value)) for key, value in facts.items()]
        for start in range(0, len(parameters), PARAMETERS_AT_ONCE):
            self._client.log_batch(run, params=parameters[start : start + PARAMETERS_AT_ONCE])
        return run

    def _log(self, run: str, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics: list[Any] = [
            Metric(name, value, now, point.step) for point in points for name, value in point.values.items()
        ]
        for start in range(0, len(metrics), AT_ONCE):
            self._client.log_batch(run, metrics=metrics[start : start + AT_ONCE])
