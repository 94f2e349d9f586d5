"""The ledger: whole transactions, readers beside a writer, files by content hash."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.prediction import Prediction
from rewards_generated.errors import UserError
from search.ledger import Candidate, Ledger, driver_lock, is_driven
from search.proposers.base import LanguageModelCall, UnusableItem


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.create(tmp_path / "run", {"config": {"a": 1}})


def candidate(name: str, identity: str | None, position: int = 0) -> Candidate:
    return Candidate(name, 1, position, identity, "code\x00 é", "test", "", "", parents=("p",))


def prediction(number: int, completion: str = "text") -> Prediction:
    return Prediction(
        id=f"q{number}",
        completion=completion,
        strict=None,
        flexible="3",
        correct=False,
        correct_flexible=True,
        completion_tokens=5,
    )


def test_a_round_is_written_wholly_or_not_at_all(ledger: Ledger) -> None:
    twice = [candidate("a", "same"), candidate("b", "same", 1)]
    with pytest.raises(Exception, match="UNIQUE"):
        ledger.record_round(1, 2, twice, [UnusableItem("malformed", "why", "text")], 0.5)
    assert ledger.rounds() == []
    assert ledger.candidates() == []
    good = [candidate("a", None), candidate("b", None, 1)]
    ledger.record_round(1, 2, good, [UnusableItem("malformed", "why", "text")], 0.5)
    assert ledger.candidates(1) == good
    assert ledger.rounds()[0].unusable == (UnusableItem("malformed", "why", "text"),)


def test_readers_see_what_is_committed_while_the_writer_lives(ledger: Ledger) -> None:
    reader = Ledger.open(ledger.folder)
    ledger.record_fact("question", {"round": 1})
    assert reader.fact("question") == {"round": 1}
    ledger.record_fact("question", None)
    assert reader.fact("question") is None
    with pytest.raises(Exception, match="readonly"):
        reader.record_fact("question", 1)


def test_calls_come_back_in_order_as_they_were(ledger: Ledger) -> None:
    calls = [
        LanguageModelCall("m", "p", None, error="429", seconds=0.1),
        LanguageModelCall("m", "p \ud800", "reply", prompt_tokens=5, cost_usd=None, finish_reason="stop"),
    ]
    for call in calls:
        ledger.record_call(2, call)
    assert ledger.calls(2) == calls
    assert ledger.calls(1) == []
    assert ledger.calls() == calls


def test_an_answer_closes_the_question(ledger: Ledger) -> None:
    ledger.record_fact("question", {"round": 1, "prompt": "?"})
    ledger.record_answer(1, LanguageModelCall("manual", "?", "!"))
    assert ledger.fact("question") is None
    assert [call.reply for call in ledger.calls(1)] == ["!"]


def test_equal_predictions_have_one_file(ledger: Ledger) -> None:
    first = ledger.files.put_predictions([prediction(1), prediction(2)])
    assert ledger.files.put_predictions([prediction(1), prediction(2)]) == first
    assert ledger.files.put_predictions([prediction(1), prediction(3)]) != first
    assert len(list(ledger.files.folder.iterdir())) == 2
    assert ledger.files.predictions(first) == [prediction(1), prediction(2)]


def test_one_driver_at_a_time(ledger: Ledger) -> None:
    assert not is_driven(ledger.folder)
    with driver_lock(ledger.folder):
        assert is_driven(ledger.folder)
        with pytest.raises(UserError, match="another process"), driver_lock(ledger.folder):
            pass
    assert not is_driven(ledger.folder)


def test_a_ledger_of_another_version_is_refused(ledger: Ledger) -> None:
    ledger._connection.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError, match="version 99"):
        Ledger.open(ledger.folder)
