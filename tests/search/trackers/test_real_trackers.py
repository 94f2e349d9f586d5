"""Each tracker for real, offline, in a process of its own as in a search; what it kept is read back.

Skipped where its package is missing: `make test-trackers` installs all four.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from search.config.source import parse_config
from search.ledger import Ledger
from search.trackers.base import TrackedRun
from search.trackers.companions import tracked
from search.trackers.figures import tracked_run
from search.trackers.process import STATE_FILE, place_of

pytestmark = pytest.mark.trackers


@pytest.fixture
def logged(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Logs the search with a tracker; returns its folder and group."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setattr("search.trackers.companions.ENDING_SECONDS", 600.0)

    def log(name: str) -> tuple[Path, str]:
        pytest.importorskip(name, reason=f"{name} is not installed")
        said: list[str] = []
        with tracked([name], run, said.append):
            pass
        assert said == []
        place = place_of(run, name)
        return place, json.loads((place / STATE_FILE).read_text(encoding="utf-8"))["group"]

    return log


@pytest.fixture
def expected(ledger: Ledger) -> list[TrackedRun]:
    config = parse_config(ledger.fact("config"))
    return [found for place in ledger.places() if (found := tracked_run(config, ledger, place)) is not None]


def figures_of(run: TrackedRun) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for point in run.points:
        for name, value in point.values.items():
            found.setdefault(name, []).append((point.step, pytest.approx(value, rel=1e-6)))
    return found


def test_tensorboard(logged: Any, expected: list[TrackedRun]) -> None:
    place, _ = logged("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    def read(name: str) -> dict[str, list[tuple[int, float]]]:
        events = EventAccumulator(str(place / name), size_guidance={"tensors": 0})
        events.Reload()
        return {
            tag: [(event.step, float(make_ndarray(event.tensor_proto))) for event in events.Tensors(tag)]
            for tag in events.Tags()["tensors"]
        }

    for run in expected:
        assert read(run.name) == figures_of(run)
        assert json.loads((place / run.name / "facts.json").read_text(encoding="utf-8")) == dict(run.facts)
    search = read("search")
    assert [step for step, _ in search["round/validation_f1_best"]] == [1, 2]
    assert search["jobs/done"][-1][0] == search["jobs/done"][-1][1]


def test_trackio(logged: Any, expected: list[TrackedRun], tmp_path: Path) -> None:
    _, group = logged("trackio")
    [file] = (tmp_path / "trackio").glob("reward-search*.db")
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT run_name, step, metrics FROM metrics ORDER BY id").fetchall()
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for name, step, metrics in rows:
        for key, value in json.loads(metrics).items():
            found.setdefault(name, {}).setdefault(key, []).append((step, value))
    for run in expected:
        assert found[f"{group}/{run.name}"] == figures_of(run)
    assert [step for step, _ in found[group]["round/validation_f1_best"]] == [1, 2]


def test_mlflow(logged: Any, expected: list[TrackedRun], tmp_path: Path) -> None:
    _, group = logged("mlflow")
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("reward-search")
    runs = {found.info.run_name: found for found in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {group, *(run.name for run in expected)}
    for run in expected:
        found = runs[run.name]
        assert found.data.tags["mlflow.parentRunId"] == runs[group].info.run_id
        assert found.info.status == ("FAILED" if run.failed else "FINISHED")
        assert found.data.params == {key: str(value) for key, value in run.facts.items()}
        history = {
            name: sorted((metric.step, metric.value) for metric in client.get_metric_history(found.info.run_id, name))
            for name in found.data.metrics
        }
        assert history == figures_of(run)
    assert runs[group].info.status == "FINISHED"
    assert runs[group].data.metrics["round/validation_f1_best"] > 0


def records_of(file: Path) -> Iterator[bytes]:
    """Of a file of wandb's: a header of 7 bytes, then LevelDB's log format (blocks of 32 KiB; of each piece checksum,
    length and type: 1 whole, 2 first, 3 middle, 4 last)."""
    data, at, parts = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        parts = (b"" if kind in (1, 2) else parts) + data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield parts


def test_wandb(logged: Any, expected: list[TrackedRun]) -> None:
    place, group = logged("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    groups = set()
    for file in (place / "wandb").glob("offline-run-*/*.wandb"):
        name = ""
        for data in records_of(file):
            record = Record()
            record.ParseFromString(data)
            if record.HasField("run"):
                name = record.run.display_name
                groups.add(record.run.run_group)
            elif record.HasField("history"):
                items = {
                    "/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item
                }
                for key, value in items.items():
                    if not key.startswith("_") and key != "step":
                        found.setdefault(name, {}).setdefault(key, []).append((items["step"], value))
    assert groups == {group}
    for run in expected:
        assert found[run.name] == figures_of(run)
    assert [step for step, _ in found[group]["round/validation_f1_best"]] == [1, 2]
