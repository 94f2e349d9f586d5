"""Which local files a task's questions come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eval.tasks.base import TaskReference
from eval.tasks.files import file_digest, local_files


def build_without_files(options: dict[str, Any]) -> object:
    """A task of a user's own that does not say which files it reads."""
    return object()


OWN = "tests.eval.tasks.test_files:build_without_files"


def files(name: str, options: dict[str, Any]) -> list[str]:
    return [str(path) for path in local_files(TaskReference(name=name, options=options))]


def test_tasks_of_records_say_what_they_read() -> None:
    options = {"train": "a.jsonl", "test": "b.jsonl", "description": "README.md"}
    assert files("jsonl", options) == ["a.jsonl", "b.jsonl"]
    assert files("gsm8k", {"source": "/data/gsm8k"}) == ["/data/gsm8k/train.jsonl", "/data/gsm8k/test.jsonl"]
    assert files("math", {"source": "owner/name"}) == []
    assert files("testbed", {"train": 40}) == []


def test_of_another_task_those_count_that_its_options_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "deeper").mkdir(parents=True)
    for name in ("one.csv", "data/a.csv", "data/b.csv", "data/.hidden", "data/deeper/c.csv"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    options = {"first": "one.csv", "more": {"folders": ["data", "."]}, "words": "x" * 9000 + "\0", "limit": 3}
    assert files(OWN, options) == ["one.csv", "data/a.csv", "data/b.csv"]


def test_a_digest_is_of_the_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
