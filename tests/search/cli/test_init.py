"""`reward-search init`: what it writes is ready to run, and it overwrites nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.tasks.registry import build_task
from search.cli import main
from search.config.source import load_config
from search.driver.start import KINDS, RECORDS


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_writes_is_a_configuration_whose_questions_can_be_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    assert main(["init", str(folder), "--task", kind]) == 0
    assert f"next: cd {folder} && reward-search run --config search.yaml --dry-run" in capsys.readouterr().out
    monkeypatch.chdir(folder)
    config = load_config(file=Path("search.yaml"))
    task = build_task(config.task)
    for split, count in RECORDS.items():
        examples = task.examples(split, count)
        assert len(examples) == count
        assert config.task.name == "testbed" or len(task.examples(split)) == count
    assert config.screening.questions <= RECORDS["validation"]
    assert config.finals.test_questions <= RECORDS["test"]
    assert config.search.base_rollouts.questions <= RECORDS["train"]


def test_it_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test.jsonl").write_text("mine")
    assert main(["init", str(tmp_path), "--task", "choice"]) == 2
    assert "test.jsonl would be overwritten" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["test.jsonl"]
    assert main(["init", str(tmp_path / "test.jsonl")]) == 2
    assert "is no folder" in capsys.readouterr().err


def test_a_near_miss_of_a_kind_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "new"), "--task", "choices"]) == 2
    assert "did you mean 'choice'?" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_runs_as_it_stands(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--task", kind]) == 0
    assert main(["run", "--config", "search.yaml", "--run-dir", "run"]) == 0
    assert (tmp_path / "run" / "leaderboard.json").is_file()
