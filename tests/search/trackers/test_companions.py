"""Processes beside a search: what becomes of them never becomes of the search."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from search.config.source import parse_config
from search.trackers import companions
from search.trackers.companions import tracked
from search.trackers.process import place_of
from tests.search.searches import run_search, small_config

HERE = "tests.search.trackers.trackers"


def test_what_the_ledger_holds_at_the_end_is_logged_before_it(run: Path) -> None:
    said: list[str] = []
    with tracked([f"{HERE}:Recording"], run, said.append):
        pass
    told = (place_of(run, f"{HERE}:Recording") / "told.jsonl").read_text(encoding="utf-8")
    assert said == []
    assert told.count('"run": "retraining/') >= 4
    assert '"closed"' in told.splitlines()[-1]


def test_a_tracker_that_fails_is_told_once_and_one_that_works_goes_on(run: Path) -> None:
    said: list[str] = []
    with tracked([f"{HERE}:Failing", f"{HERE}:Recording"], run, said.append):
        pass
    [warning] = said
    assert warning.startswith(f"warning: the tracker '{HERE}:Failing' stopped (ConnectionError: the server is away)")
    assert "log.txt" in warning
    assert "Traceback" in (place_of(run, f"{HERE}:Failing") / "log.txt").read_text(encoding="utf-8")


def test_a_tracker_that_does_not_end_is_stopped(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(companions, "ENDING_SECONDS", 0.2)
    said: list[str] = []
    began = time.monotonic()
    with tracked([f"{HERE}:Hanging"], run, said.append):
        pass
    assert time.monotonic() - began < 30
    [warning] = said
    assert "it did not end within 0 s" in warning


def test_its_process_ends_by_itself_where_the_driver_is_dead(run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("trackers"))
    command = [sys.executable, "-P", "-m", "search.trackers.process", str(run), f"{HERE}:Recording"]
    assert subprocess.run(command, stdin=subprocess.DEVNULL, timeout=300, check=False).returncode == 0
    assert '"closed"' in (place_of(run, f"{HERE}:Recording") / "told.jsonl").read_text(encoding="utf-8")


def test_an_error_of_the_search_passes_through(run: Path) -> None:
    with pytest.raises(KeyboardInterrupt), tracked([f"{HERE}:Recording"], run, print):
        raise KeyboardInterrupt


def test_a_tracker_that_is_not_installed_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("search.trackers.base.find_spec", lambda name: None)
    code, folder = run_search(tmp_path, trackers=["wandb"])
    assert code == 2
    said = capsys.readouterr().err
    assert "`trackers` names 'wandb'" in said
    assert "pip install 'reward-search[wandb]'" in said
    assert not folder.exists()


def test_an_unknown_tracker_is_refused_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = run_search(tmp_path, trackers=["clearml"])
    assert code == 2
    assert "clearml" in capsys.readouterr().err


def test_each_is_named_once_and_may_be_named_anew_when_a_search_goes_on() -> None:
    from search.driver.mending import RUNNING

    assert parse_config(small_config(trackers=["mlflow", "wandb", "mlflow"])).trackers == ("mlflow", "wandb")
    assert "trackers" in RUNNING
