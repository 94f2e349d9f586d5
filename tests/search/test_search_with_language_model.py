"""Whole searches whose proposer is a language model behind a local server, through trouble and an interruption."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from search.cli import main
from search.ledger import Ledger
from tests.search.proposers.openai_server import Answer, Failure, OpenAIServer, Script, Silence
from tests.search.searches import reward_code, run_search


def reply(*numbers: int) -> str:
    return "\n".join(f"name: bonus-{number}\n```python\n{reward_code(number)}```\n" for number in numbers)


def proposer(server: OpenAIServer) -> dict[str, object]:
    options = {
        "models": "openai/test",
        "api_base": server.url,
        "retry_wait_seconds": 0.01,
        "timeout_seconds": 0.5,
        "max_tokens": 1000,
    }
    return {"name": "litellm", "options": options}


FIRST: Script = [Failure(429, retry_after=0.01), Failure(500), Answer('{"candidates": [{'), Answer(reply(1, 1, 2))]
SECOND: Script = [Silence(), Answer("Gladly:\n\n" + reply(3, 4))]


def test_two_rounds_through_trouble_and_an_interruption(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with OpenAIServer([*FIRST, *SECOND]) as server:
        code, run = run_search(
            tmp_path, proposer=proposer(server), executor={"name": "tests.search.instant:InterruptedLater"}
        )
        assert code == 130  # after the second round's calls, before its screenings
        asked = len(server.requests)
        assert main(["run", "--run-dir", str(run), "--resume"]) == 0
        assert len(server.requests) == asked == 6
    ledger = Ledger.open(run)
    calls, rounds, names = ledger.calls(), ledger.rounds(), [item.name for item in ledger.candidates()]
    ledger.close()
    assert len(names) == 4
    assert [call.reply is None for call in calls] == [True, True, False, False, True, False]
    assert {item.reason for item in rounds[0].unusable} == {"malformed", "duplicate"}
    assert sum(call.prompt_tokens + call.completion_tokens for call in calls) >= server.billed_tokens
    board = json.loads((run / "leaderboard.json").read_text(encoding="utf-8"))
    assert sum(item["winner"] for item in board) == 1
    assert main(["status", str(run)]) == 0
    assert "6 calls" in capsys.readouterr().out


def test_a_provider_that_fails_for_good_is_a_sentence_and_can_be_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with OpenAIServer([Failure(401), Answer(reply(1, 2)), Answer(reply(3, 4))]) as server:
        code, run = run_search(tmp_path, proposer=proposer(server))
        assert code == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert main(["run", "--run-dir", str(run), "--resume"]) == 0


def test_an_exhausted_budget_ends_the_proposing_and_not_the_search(tmp_path: Path) -> None:
    with OpenAIServer([Answer(reply(1, 2))]) as server:
        settings = proposer(server)
        settings["options"] = {**settings["options"], "budget_calls": 1}  # type: ignore[dict-item]
        code, run = run_search(tmp_path, proposer=settings)
        assert code == 0
        assert len(server.requests) == 1
    ledger = Ledger.open(run)
    assert [len(ledger.candidates(number)) for number in (1, 2)] == [2, 0]
    assert ledger.milestone("finished") is not None
    ledger.close()
