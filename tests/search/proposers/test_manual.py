from __future__ import annotations

import pytest

from search.proposers.base import AwaitingAnswer, LanguageModelCall
from search.proposers.manual import ManualProposer
from search.proposers.question.prompt import render_prompt
from search.proposers.registry import build_proposer
from search.proposers.settings import PromptSettings
from tests.search.proposers.examples import code, fenced, request

ONE, TWO, THREE = (
    ("one", "reflection", code(1.0)),
    ("two", "process", code(2.0)),
    ("three", "process", code(3.0)),
)


def answers(*replies: str) -> list[LanguageModelCall]:
    return [LanguageModelCall("manual", "the prompt", reply) for reply in replies]


def test_without_an_answer_it_waits_with_the_prompt_of_a_language_model() -> None:
    with pytest.raises(AwaitingAnswer) as waiting:
        ManualProposer().propose(request())
    assert waiting.value.prompt == render_prompt(request(), PromptSettings())


def test_an_answer_is_the_round() -> None:
    batch = ManualProposer().propose(request(recorded_calls=answers(fenced(ONE, TWO, THREE))))
    assert [item.name for item in batch.proposals] == ["one", "two", "three"]
    assert {item.origin for item in batch.proposals} == {"manual"}


def test_a_short_or_bad_answer_is_followed_by_another_question() -> None:
    broken = fenced(("broken", "process", "def reward(prompt, completion, answer)\n    return 1.0\n"))
    asked = request(recorded_calls=answers(fenced(ONE) + "\n\n" + broken))
    with pytest.raises(AwaitingAnswer) as waiting:
        ManualProposer().propose(asked)
    follow_up = waiting.value.prompt
    assert "Write 2 new candidates" in follow_up
    assert "- one (reflection)" in follow_up
    assert "expected ':'" in follow_up
    asked = request(recorded_calls=answers(fenced(ONE) + "\n\n" + broken, fenced(TWO, THREE)))
    assert len(ManualProposer().propose(asked).proposals) == 3


def test_after_the_last_follow_up_the_round_is_what_it_is() -> None:
    asked = request(recorded_calls=answers(fenced(ONE), "nothing", "nothing"))
    batch = ManualProposer().propose(asked)
    assert [item.name for item in batch.proposals] == ["one"]
    assert [item.reason for item in batch.unusable] == ["malformed", "malformed"]
    patient = build_proposer("manual", {"max_follow_ups": 3})
    with pytest.raises(AwaitingAnswer):
        patient.propose(asked)


def test_useless_answers_do_not_end_a_round() -> None:
    for useless in (3, 4, 9):
        with pytest.raises(AwaitingAnswer) as waiting:
            ManualProposer().propose(request(recorded_calls=answers(*["nothing"] * useless)))
        assert len(waiting.value.unusable) == useless
    batch = ManualProposer().propose(request(recorded_calls=answers(*["nothing"] * 9, fenced(ONE, TWO, THREE))))
    assert len(batch.proposals) == 3
