"""`reward-search compare` as a user types it."""

from __future__ import annotations

import json
import random
import re
import shlex
from pathlib import Path

import pytest

from search.cli import main

PAGE = Path(__file__).parents[3] / "docs" / "scoring.md"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """base.jsonl, tuned.jsonl and ablated.jsonl in the current folder, each line with the fields of the page."""
    monkeypatch.chdir(tmp_path)
    fields = json.loads(re.findall(r"```json\n(.*?)```", _section(), re.S)[0])
    draws = random.Random(0)
    for name, accuracy in (("base", 0.4), ("tuned", 0.7), ("ablated", 0.7)):
        lines = []
        for seed in (0, 1, 2):
            for question in range(80):
                correct = draws.random() < accuracy
                answered = correct or draws.random() < 0.9
                values = {"id": f"q{question}", "correct": correct, "answered": answered, "seed": seed}
                lines.append(json.dumps({field: values[field] for field in fields}))
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def _section() -> str:
    return PAGE.read_text(encoding="utf-8").split("## Compare any predictions")[1].split("\n## ")[0]


def _commands() -> list[str]:
    block = re.findall(r"```sh\n(.*?)```", _section(), re.S)[0]
    return [line.split("#")[0].strip() for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("line", _commands())
def test_the_readme_works_as_typed(line: str, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program, *arguments = shlex.split(line)
    assert program == "reward-search"
    assert main(arguments) == 0
    out = capsys.readouterr().out
    for name in ("base", "tuned"):
        assert name in out
    if "--format json" in line:
        record = json.loads(out)
        assert {(pair["first"], pair["second"]) for pair in record["pairs"]} == {("tuned", "base"), ("ablated", "base")}
        assert record["level"] == 0.99
    if "--margin" in line:
        assert "equivalence p" in out


def test_a_pair_that_differs_is_said_to(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "base.jsonl", "tuned.jsonl", "--format", "json"]) == 0
    pair = json.loads(capsys.readouterr().out)["pairs"][0]
    assert pair["conclusion"] == "different"
    assert pair["seeds_difference"]["value"] < -0.1


def test_a_pair_that_differs_on_the_questions_but_not_over_seeds_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two policies that differ far more than chance in questions explains, and as much between seeds of one."""
    monkeypatch.chdir(tmp_path)
    for name, accuracies in (("base", (0.4, 0.7, 0.5)), ("tuned", (0.7, 0.4, 0.6))):
        lines = [
            json.dumps({"id": f"q{question}", "correct": question < accuracy * 200, "seed": seed})
            for seed, accuracy in enumerate(accuracies)
            for question in range(200)
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    assert main(["compare", "base.jsonl", "tuned.jsonl", "--format", "json"]) == 0
    pair = json.loads(capsys.readouterr().out)["pairs"][0]
    assert pair["holm"] < 1e-6
    assert pair["seeds_p"] > 0.05
    assert pair["conclusion"] == "open"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["base.jsonl"], "only base.jsonl was given"),
        (["base.jsonl", "none.jsonl"], "none.jsonl cannot be read"),
        (["base.jsonl", "short.jsonl"], "short.jsonl has no prediction for question 'q1' of base.jsonl, line 2"),
        (["base.jsonl", "tuned.jsonl", "--margin", "2"], "margin 2 must lie between 0 and 1"),
        (["base.jsonl", "tuned.jsonl", "--level", "95"], "level 95 must lie between 0 and 1"),
        (["base.jsonl", "tuned.jsonl", "--baseline", "bass"], "did you mean 'base'?"),
        (["base.jsonl", "tuned.jsonl", "--format", "csv"], "csv"),
        ([], "Missing argument"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: list[str], said: str, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (models / "short.jsonl").write_text('{"id": "q0", "correct": true}\n')
    assert main(["compare", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert printed.err.count("\n") == 1
