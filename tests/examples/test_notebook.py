"""The notebook runs from its first cell to its last, in a folder with a finished run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.search.searches import run_search

NOTEBOOK = Path(__file__).parents[2] / "examples" / "first_steps.ipynb"


def test_the_notebook_holds_no_outputs() -> None:
    book = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert not [cell for cell in book["cells"] if cell.get("outputs") or cell.get("execution_count")]


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = run_search(tmp_path, name="runs/quick")
    assert code == 0
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    names: dict[str, Any] = {}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)  # noqa: S102
    assert names["scores"].totals[:2] == [3.5, 1.5]
    assert "3.5 <thinking> 17 + 25 = 42." in capsys.readouterr().out
    assert names["winner"].name in set(names["board"].name)
    assert {"round", "status", "f1"} <= set(names["candidates"].columns)
