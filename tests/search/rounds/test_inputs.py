"""The files of a search: the same from its start to its end, wherever it is resumed from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from eval.engines.transformers_engine import TransformersEngine
from search.cli import main
from search.ledger import Ledger
from tests.search.searches import reward_code, run_search

SPLITS = {"train": "data/train.jsonl", "validation": "data/validation.jsonl", "test": "data/test.jsonl"}


def write_questions(folder: Path, word: str) -> None:
    (folder / "data").mkdir(exist_ok=True)
    for split, path in SPLITS.items():
        lines = [json.dumps({"question": f"{split}: {word} {n} + 1 ?", "answer": str(n + 1)}) for n in range(30)]
        (folder / path).write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search of relative paths that waits for its first answer, in the folder `start`."""
    start = tmp_path / "start"
    start.mkdir()
    (start / "prompt.j2").write_text("Write a reward, please.", encoding="utf-8")
    write_questions(start, "What is")
    monkeypatch.chdir(start)
    finals = {"ensembles": ["top-1"], "seeds": 1, "random_controls": {"pool": 0, "first_round": 0}}
    code, _ = run_search(
        Path(),
        task={"name": "jsonl", "options": SPLITS},
        proposer={"name": "manual", "options": {"template": "prompt.j2", "max_follow_ups": 0}},
        search={"rounds": 1, "candidates_per_round": 1},
        finals=finals,
    )
    assert code == 0
    (start / "answer.md").write_text(f"```python\n{reward_code(1)}```\n", encoding="utf-8")
    return start


@pytest.mark.parametrize("split", SPLITS)
def test_changed_questions_are_refused_by_name_and_the_answer_is_not_taken(
    asked: Path, split: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = asked / SPLITS[split]
    file.write_text(file.read_text(encoding="utf-8").replace("What is", "Tell me"), encoding="utf-8")
    assert main(["tell", "run", "answer.md"]) == 2
    assert f"{file}, which the prompts of run come from, changed" in capsys.readouterr().err
    assert main(["run", "--run-dir", "run", "--resume"]) == 2
    file.unlink()
    capsys.readouterr()
    assert main(["run", "--run-dir", "run", "--resume"]) == 2
    assert f"{file}, which the prompts of run come from, is not there" in capsys.readouterr().err
    ledger = Ledger.open(asked / "run")
    assert ledger.calls() == []
    assert ledger.fact("question") is not None
    ledger.close()


def test_relative_paths_are_those_of_the_start(
    asked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = asked.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert main(["tell", "../start/run", "../start/answer.md"]) == 0
    assert "report: ../start/run/report.html" in capsys.readouterr().out
    assert Path.cwd() == elsewhere
    assert main(["export", "../start/run", "--to", "reward"]) == 0
    assert (elsewhere / "reward" / "reward.py").is_file()


def test_a_project_that_was_moved_as_a_whole_goes_on(asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(asked.parent)
    shutil.move(asked, asked.parent / "moved")
    monkeypatch.chdir(asked.parent / "moved")
    assert main(["tell", "run", "answer.md"]) == 0
    shutil.move("run", asked.parent / "alone")
    monkeypatch.chdir(asked.parent)
    for command in (["status"], ["leaderboard"], ["report"]):
        assert main([*command, "alone"]) == 0


def test_another_version_of_the_engine_is_refused(
    asked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(TransformersEngine, "version", classmethod(lambda cls, options: "engine 2"))
    assert main(["tell", "run", "answer.md"]) == 2
    assert "run was started with an engine without a version, and engine 2 is installed here" in capsys.readouterr().err
