"""Ask and tell: a person answers in files, well and badly, from the shell to the leaderboard."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.cli import main
from search.ledger import Ledger
from tests.search.searches import reward_code, run_search

MANUAL = {"name": "manual", "options": {"max_follow_ups": 1}}


def fenced(*numbers: int) -> str:
    return "\n".join(f"Here is one:\n```python\n{reward_code(number)}```\n" for number in numbers)


@pytest.fixture
def asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    code, run = run_search(tmp_path, proposer=MANUAL)
    assert code == 0
    printed = capsys.readouterr().out
    assert f"reward-search ask {run}" in printed
    assert f"reward-search tell {run}" in printed
    return run


def question(run: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["ask", str(run)]) == 0
    return capsys.readouterr().out


def tell(run: Path, text: str) -> int:
    answer = run.parent / "answer.md"
    answer.write_text(text, encoding="utf-8")
    return main(["tell", str(run), str(answer)])


def test_two_rounds_to_the_leaderboard(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = question(asked, capsys)
    assert "def reward(prompt: str, completion: str, answer: str) -> float" in first
    assert question(asked, capsys) == first

    assert tell(asked, fenced(1, 2)) == 0
    second = question(asked, capsys)
    assert second != first
    assert "bonus = 1.00" in second  # the source of the better of two that are alike
    assert tell(asked, fenced(3, 4)) == 0
    assert (asked / "report.html").is_file()
    out = capsys.readouterr().out
    assert "top-2" in out

    assert main(["ask", str(asked)]) == 2
    assert "finished" in capsys.readouterr().err


def test_bad_answers_are_recorded_and_asked_again(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(asked, "I would rather not.") == 0
    again = question(asked, capsys)
    assert tell(asked, fenced(1, 1) + "```python\ndef reward(prompt, completion, answer:\n    return 1\n```\n") == 0
    ledger = Ledger.open(asked)
    rounds, candidates, calls = ledger.rounds(), ledger.candidates(), ledger.calls()
    ledger.close()
    assert calls[0].reply == "I would rather not."
    assert calls[1].prompt.strip() == again.strip()
    assert {item.reason for item in rounds[0].unusable} >= {"malformed", "duplicate"}
    assert len(candidates) == 1
    assert candidates[0].origin == "manual"


def test_a_question_that_is_asked_again_says_what_was_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, run = run_search(
        tmp_path, proposer={"name": "manual"}, search={"candidates_per_round": 2, "reflection_minimum": 0}
    )
    assert code == 0
    assert "taken from the answers" not in capsys.readouterr().out
    assert tell(run, fenced(1, 1)) == 0
    shown = capsys.readouterr().out
    assert "taken from the answers so far: 1 of 2 candidates" in shown
    assert "not taken (duplicate): " in shown
    assert "Round 1 waits for an answer" in shown


def test_the_parts_of_the_question_are_counted(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["ask", str(asked), "--sections"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {"The task", "The contract", "Your turn"} <= {line.split(maxsplit=1)[1] for line in lines}
    assert "in all, estimated at 3.2 bytes a token" in lines[-1]


@pytest.mark.parametrize("feedback", ["ranked", "none", "shuffled"])
def test_who_answers_blind_is_shown_no_ranking(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], feedback: str
) -> None:
    code, run = run_search(tmp_path, proposer=MANUAL, search={"feedback": feedback})
    assert code == 0
    capsys.readouterr()
    assert tell(run, fenced(1, 2)) == 0
    shown = capsys.readouterr().out
    assert "Round 2 waits for an answer" in shown
    assert ("after round 1" in shown) == ("accuracy" in shown) == (feedback == "ranked")


def test_status_says_what_is_waited_for(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["status", str(asked)]) == 0
    assert "round 1 waits for an answer" in capsys.readouterr().out
    assert tell(asked, fenced(1, 2)) == 0
    capsys.readouterr()
    assert main(["status", str(asked)]) == 0
    assert "and cost" not in capsys.readouterr().out, "a person is no language model with a price"


def test_resume_asks_the_same_question_again(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = question(asked, capsys)
    assert main(["run", "--run-dir", str(asked), "--resume"]) == 0
    assert question(asked, capsys) == first


def test_answers_that_cannot_be_taken(asked: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    first = question(asked, capsys)
    assert main(["tell", str(asked), str(tmp_path / "none.md")]) == 2
    assert "none.md" in capsys.readouterr().err
    assert tell(asked, " \n") == 2
    assert "empty" in capsys.readouterr().err
    assert question(asked, capsys) == first


def test_a_search_that_asks_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, run = run_search(tmp_path, executor={"options": {"interrupt": "screening"}})
    assert code == 130
    capsys.readouterr()
    assert main(["ask", str(run)]) == 2
    assert "asks nobody" in capsys.readouterr().err
