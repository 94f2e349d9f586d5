"""Runs of one's own and of others: whose code is imported on resumption."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from rewards_generated.errors import UserError
from search.cli import main
from search.config.source import parse_config
from search.driver.origin import code_names, is_own, start_folder
from search.ledger import Ledger
from tests.search.searches import run_search, small_config


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "reward-search" / "secret"


def test_a_run_of_one_s_own_goes_on_from_anywhere(
    secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, run = run_search(tmp_path, proposer={"name": "manual"})
    assert code == 0
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    with closing(Ledger.open(run)) as ledger:
        assert is_own(ledger)
    moved = tmp_path / "elsewhere"
    shutil.copytree(run, moved)
    assert main(["run", "--run-dir", str(moved), "--resume"]) == 0


def test_a_run_of_somebody_else_runs_no_code_unless_trusted(
    secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, run = run_search(tmp_path, proposer={"name": "manual"})
    secret.write_bytes(os.urandom(32))
    capsys.readouterr()
    assert main(["run", "--run-dir", str(run), "--resume"]) == 2
    said = capsys.readouterr().err
    assert "tests.search.instant:InstantExecutor" in said
    assert "--trust" in said
    answer = tmp_path / "answer.md"
    answer.write_text("nothing", encoding="utf-8")
    assert main(["tell", str(run), str(answer)]) == 2
    with closing(Ledger.open(run)) as ledger:
        assert ledger.calls() == []
    assert main(["run", "--run-dir", str(run), "--resume", "--trust"]) == 0


def test_the_folder_of_somebody_else_s_start_is_not_entered(secret: Path, tmp_path: Path) -> None:
    _, run = run_search(tmp_path, proposer={"name": "manual"})
    elsewhere = tmp_path / "theirs"
    elsewhere.mkdir()
    with closing(Ledger.open(run, write=True)) as ledger:
        ledger.record_fact("working_folder", str(elsewhere))
        assert not is_own(ledger)
        ledger.record_fact("config", {**ledger.fact("config"), "executor": {"name": "local", "options": {}}})
        with start_folder(ledger, run):
            assert Path.cwd() != elsewhere
        with start_folder(ledger, run, trust=True):
            assert Path.cwd() == elsewhere


def test_where_no_secret_can_be_kept_a_run_needs_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    code, run = run_search(tmp_path, proposer={"name": "manual"})
    assert code == 0
    assert main(["run", "--run-dir", str(run), "--resume"]) == 2
    assert main(["run", "--run-dir", str(run), "--resume", "--trust"]) == 0


def test_a_seal_is_no_seal_of_other_code(secret: Path, tmp_path: Path) -> None:
    _, run = run_search(tmp_path, proposer={"name": "manual"})
    with closing(Ledger.open(run, write=True)) as ledger:
        config = ledger.fact("config")
        ledger.record_fact("config", {**config, "task": {"name": "theirs:task", "options": {}}})
        assert "theirs:task" in code_names(ledger.fact("config"))
        with pytest.raises(UserError, match="theirs:task"), start_folder(ledger, run):
            pass


def test_code_that_a_task_names_in_its_options_counts_as_named() -> None:
    config = small_config()
    config["task"] = {
        "name": "math-500",
        "options": {"train_on": {"name": "theirs:task"}, "description": "a: b", "system_prompt": "x:1"},
    }
    config["finals"]["ood"] = [{"name": "verifiers", "options": {"environment": "other.module:load_environment"}}]
    names = code_names(parse_config(config).plain())
    assert {"theirs:task", "other.module:load_environment"} <= set(names)
    assert not {"a: b", "x:1"} & set(names)


def names_of(run: Path) -> set[str]:
    with closing(Ledger.open(run)) as ledger:
        return {candidate.name for candidate in ledger.candidates()}


def test_names_with_control_characters_were_never_recorded(
    secret: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, run = run_search(tmp_path, search={"rounds": 1})
    assert code == 0
    with closing(sqlite3.connect(run / "ledger.sqlite", isolation_level=None)) as connection:
        connection.execute("UPDATE candidates SET name = 'a' || char(27) || '[2J' WHERE position = 0")
    capsys.readouterr()
    assert main(["status", str(run)]) == 2
    said = capsys.readouterr()
    assert "tampered" in said.err
    assert "\x1b" not in said.out + said.err


def test_the_code_that_a_configuration_names_is_said(
    secret: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = run_search(tmp_path, proposer={"name": "manual"})
    assert code == 0
    assert "runs code that the configuration names: tests.search.instant:InstantExecutor" in capsys.readouterr().out


def test_reading_a_strangers_run_imports_nothing_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "theirs_of_the_reader.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    search = {"rounds": 2, "candidates_per_round": 4, "feedback": "none"}
    code, run = run_search(tmp_path, proposer={"name": "evolve"}, search=search)
    assert code == 0
    with closing(Ledger.open(run, write=True)) as ledger:
        known = {candidate.identity for candidate in ledger.candidates()}
        parents = {parent for candidate in ledger.candidates() for parent in candidate.parents}
        assert parents - known  # whose names the report looks up in the library
        config = ledger.fact("config")
        named = {
            name: {**config[name], "name": "theirs_of_the_reader:Thing"} for name in ("proposer", "executor", "engine")
        }
        task = {"name": "theirs_of_the_reader:task", "options": {}}
        algorithm = {"name": "theirs_of_the_reader:Thing", "options": {"of": "theirs"}}
        screening = {**config["screening"], "algorithm": algorithm}
        ledger.record_fact("config", {**config, **named, "task": task, "screening": screening})
    for command in ("status", "leaderboard", "report"):
        assert main([command, str(run)]) == 0, capsys.readouterr().err
    assert main(["check", str(run)]) == 1  # the configuration is not the one that was recorded
    assert main(["source", str(run), next(iter(sorted(names_of(run))))]) == 0
    assert main(["export", str(run), "--to", str(tmp_path / "taken")]) == 0
    assert main(["ask", str(run)]) == 2
    capsys.readouterr()
    assert main(["run", "--run-dir", str(run), "--resume"]) == 2
    assert "add --trust" in capsys.readouterr().err
