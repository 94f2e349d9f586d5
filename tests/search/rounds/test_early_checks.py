"""What the gate or the pre-screen refuses is told at once, and its place asked for again within the round."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from search.cli import main
from search.ledger import Ledger
from search.rounds import checks
from tests.search.searches import reward_code, run_search

CONSTANT = "def reward(prompt: str, completion: str, answer: str) -> float:\n    return {}\n"
ONE_ROUND: dict[str, Any] = {
    "search": {"rounds": 1, "candidates_per_round": 2, "base_rollouts": {"questions": 40, "per_question": 4}},
    "finals": {"ensembles": ["top-2"], "seeds": 1, "random_controls": {"first_round": 0, "pool": 0}},
    "proposer": {"name": "manual", "options": {"max_follow_ups": 1}},
}


def fenced(*codes: str) -> str:
    return "\n".join(f"Here is one:\n```python\n{code}```\n" for code in codes)


def tell(run: Path, *codes: str) -> int:
    answer = run.parent / "answer.md"
    answer.write_text(fenced(*codes), encoding="utf-8")
    return main(["tell", str(run), str(answer)])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    code, folder = run_search(tmp_path, prescreen={"enabled": False}, **ONE_ROUND)
    assert code == 0
    return folder


def statuses(run: Path) -> dict[str, bool]:
    ledger = Ledger.open(run)
    verdicts = {name: verdict.accepted for name, verdict in ledger.verdicts().items()}
    ledger.close()
    return verdicts


def test_a_rejected_candidate_is_told_and_its_place_asked_for_again(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tell(run, reward_code(1), CONSTANT.format(0.5)) == 0
    shown = capsys.readouterr().out
    assert "taken from the answers so far: 1 of 2 candidates" in shown
    assert "not taken (rejected): " in shown
    assert main(["ask", str(run)]) == 0
    question = capsys.readouterr().out
    assert " not used, rejected]\n" in question
    assert "constant: " in question
    assert "Now write the 1 that is missing" in question

    assert tell(run, reward_code(500)) == 0
    ledger = Ledger.open(run)
    [proposed], candidates = ledger.rounds(), ledger.candidates()
    ledger.close()
    assert proposed.requested == 2
    assert [candidate.round for candidate in candidates] == [1, 1, 1]
    assert list(statuses(run).values()) == [True, True, False]


def test_the_round_ends_with_what_there_is_when_the_follow_ups_are_used_up(run: Path) -> None:
    assert tell(run, reward_code(1), CONSTANT.format(0.5)) == 0
    assert tell(run, CONSTANT.format(0.25)) == 0
    assert list(statuses(run).values()) == [True, False, False]
    ledger = Ledger.open(run)
    assert ledger.milestone("finished")
    ledger.close()


def test_a_near_duplicate_is_asked_for_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, run = run_search(tmp_path, **ONE_ROUND)
    copy = reward_code(1) + "\n\nUNUSED = 1\n"
    assert tell(run, reward_code(1), copy) == 0
    assert "not taken (duplicate): " in capsys.readouterr().out
    assert tell(run, CONSTANT.format(0.5)) == 0
    ledger = Ledger.open(run)
    duplicates = [found.duplicate for found in ledger.prescreenings().values()]
    ledger.close()
    assert duplicates == [False, True]


def test_a_round_that_is_replayed_is_the_same_without_a_second_gate(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tell(run, reward_code(1), CONSTANT.format(0.5)) == 0
    capsys.readouterr()
    assert main(["ask", str(run)]) == 0
    first = capsys.readouterr().out

    def never(*given: object, **named: object) -> Sequence[object]:
        raise AssertionError("the gate was asked again")

    monkeypatch.setattr(checks, "check", never)
    killed = run.parent / "killed"
    shutil.copytree(run, killed)
    assert main(["run", "--run-dir", str(killed), "--resume"]) == 0
    capsys.readouterr()
    assert main(["ask", str(killed)]) == 0
    assert capsys.readouterr().out == first.replace(str(run), str(killed))
