from __future__ import annotations

from pathlib import Path

import pytest

import rewards_generated
from rewards_generated.errors import UserError
from rewards_generated.hosts.importing import import_file
from search.cli import main
from tests.rewards_generated.hosts.test_reading import RIGHT, TRL


def test_every_function_becomes_a_module_or_is_told_why_not(tmp_path: Path) -> None:
    (tmp_path / "rewards.py").write_text(TRL)
    imported = import_file(f"{tmp_path}/rewards.py", tmp_path / "mine")
    assert imported.names == ("accuracy", "tagged", "abstaining", "waiting", "from_kwargs", "logs")
    said = "\n".join(imported.lines)
    assert "needs_a_column: not taken: it needs `difficulty`" in said
    assert "uses_a_file: not taken: line 1: `import os` is not allowed: a reward sees no files" in said
    assert "weighted: not taken: it needs `weight`" in said
    assert (tmp_path / "mine" / "waiting.py").read_text().startswith(f"# Imported from {tmp_path}/rewards.py, line ")
    whole = rewards_generated.load(tmp_path / "mine")
    assert whole("7 + 5 ?", RIGHT, "12") == 5.5
    for name in imported.names:
        assert rewards_generated.load(f"{tmp_path}/mine/{name}.py")("7 + 5 ?", RIGHT, "12") is not None


def test_one_by_name_and_none_at_all(tmp_path: Path) -> None:
    (tmp_path / "rewards.py").write_text(TRL)
    assert import_file(f"{tmp_path}/rewards.py:weighted(weight=2)", tmp_path / "one").names == ("weighted",)
    (tmp_path / "empty.py").write_text("def helper(text):\n    return text\n")
    imported = import_file(f"{tmp_path}/empty.py", tmp_path / "none")
    assert imported.names == ()
    assert "no function became a reward" in imported.lines[-1]
    assert not (tmp_path / "none").exists()
    with pytest.raises(UserError, match="not an empty folder"):
        import_file(f"{tmp_path}/rewards.py", tmp_path / "one")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rewards.py").write_text(TRL)
    assert main(["import", f"{tmp_path}/rewards.py", "--to", str(tmp_path / "mine")]) == 0
    assert "accuracy: " in capsys.readouterr().out
    (tmp_path / "empty.py").write_text("x = 1\n")
    assert main(["import", f"{tmp_path}/empty.py", "--to", str(tmp_path / "other")]) == 1
