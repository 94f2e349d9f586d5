"""Calls side by side: their order, their records, the budget while they are under way, and who is asked instead."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from rewards_generated.errors import UserError
from search.proposers.base import BudgetExhausted, LanguageModelCall, ProposalBatch, Spending
from search.proposers.language_model.proposer import LanguageModelProposer
from search.proposers.registry import build_proposer
from tests.search.proposers.examples import code, fenced, request
from tests.search.proposers.language_model.test_proposer import kept_in
from tests.search.proposers.openai_server import Answer, Failure, OpenAIServer, Script, Step

PRICED = {"usd_per_million_prompt_tokens": 1.0, "usd_per_million_completion_tokens": 1000.0}


def propose(
    script: Script, *, count: int = 6, recorded: list[LanguageModelCall] | None = None, **options: Any
) -> tuple[ProposalBatch, list[LanguageModelCall], OpenAIServer, list[str]]:
    calls: list[LanguageModelCall] = []
    notes: list[str] = []
    with OpenAIServer(script) as server:
        settings = {"models": "openai/test", "retry_wait_seconds": 0.01, "max_tokens": 1000, "questions": 1}
        settings |= {"candidates_per_call": 2, "parallel": 3, "api_base": server.url, "wrong_rollouts": 1}
        proposer = build_proposer("litellm", settings | options)
        assert isinstance(proposer, LanguageModelProposer)
        asked = replace(
            request(count=count, reflection_minimum=0, recorded_calls=recorded or []),
            record_call=kept_in(calls),
            note=notes.append,
        )
        batch = proposer.propose(asked)
    return batch, calls, server, notes


def number_of(body: dict[str, Any]) -> int:
    """A number that the prompt alone decides, as a language model's reply is."""
    return int(hashlib.sha256(body["messages"][0]["content"].encode()).hexdigest()[:6], 16)


def two_candidates(body: dict[str, Any], **more: Any) -> Answer:
    number = number_of(body)
    text = fenced((f"a_{number}", "process", code(number + 0.1)), (f"b_{number}", "process", code(number + 0.2)))
    return Answer(text, **more)


def without_seconds(calls: list[LanguageModelCall]) -> list[dict[str, Any]]:
    ordered = sorted(calls, key=lambda call: call.exchange)
    return [{**asdict(call), "seconds": 0} for call in ordered]


def test_the_round_is_the_same_whatever_comes_back_first() -> None:
    delays: list[Callable[[int], float]] = [lambda number: 0.0, lambda number: 0.15 * (number % 3)]
    delays.append(lambda number: 0.15 * (2 - number % 3))
    found = [
        propose(lambda body, delay=delay: two_candidates(body, seconds=delay(number_of(body)))) for delay in delays
    ]
    assert len({len(set(server.prompts)) for _, _, server, _ in found}) == 1
    assert len(set(found[0][2].prompts)) == 3, "each question of a wave shows other examples"
    assert all(batch == found[0][0] for batch, *_ in found)
    assert len(found[0][0].proposals) == 6
    assert all(without_seconds(calls) == without_seconds(found[0][1]) for _, calls, *_ in found)
    again, calls, server, _ = propose([], recorded=found[1][1])
    assert again == found[0][0]
    assert calls == server.requests == []


def test_a_wave_that_was_cut_off_is_completed() -> None:
    whole, calls, _, _ = propose(two_candidates)
    for kept in ([0], [2], [0, 1], [1, 2]):
        recorded = [call for call in calls if call.exchange in kept]
        again, new, _, _ = propose(two_candidates, recorded=recorded)
        assert again == whole
        assert sorted(call.exchange for call in new) == sorted({0, 1, 2} - set(kept))


def test_so_many_are_under_way_and_no_more() -> None:
    under_way, most, lock = 0, 0, threading.Lock()

    def script(body: dict[str, Any]) -> Step:
        nonlocal under_way, most
        # The server counts a request under its lock; the wait is outside of it.
        under_way += 1
        most = max(most, under_way)

        def leave() -> None:
            nonlocal under_way
            with lock:
                under_way -= 1

        threading.Timer(0.25, leave).start()
        return two_candidates(body, seconds=0.3)

    started = time.monotonic()
    batch, _, _, _ = propose(script, count=8, candidates_per_call=1, parallel=4)
    assert len(batch.proposals) == 8
    assert most == 4
    assert time.monotonic() - started < 8 * 0.3 + 2.0


def test_the_calls_of_a_budget_count_those_under_way() -> None:
    batch, calls, server, _ = propose(lambda body: two_candidates(body, seconds=0.2), budget_calls=2, max_follow_ups=0)
    assert len(server.requests) == len(calls) == 2
    assert len(batch.proposals) == 4
    assert "budget_calls = 2" in batch.exhausted


def test_what_does_not_fit_waits_for_what_may_turn_out_cheaper() -> None:
    """Each call may cost 1 USD and costs a tenth: three fit one after the other, not side by side."""
    model = {"model": "openai/test", **PRICED}
    batch, calls, server, _ = propose(
        lambda body: two_candidates(body, seconds=0.1, prompt_tokens=1, completion_tokens=100),
        models=model,
        budget_usd=1.3,
    )
    assert len(batch.proposals) == 6
    assert len(server.requests) == 3
    assert Spending.of(calls).cost_usd == pytest.approx(0.3, abs=0.001)
    with pytest.raises(BudgetExhausted, match=r"budget_usd = 0\.9"):
        propose([], models=model, budget_usd=0.9)


def test_a_budget_that_ends_in_the_middle_keeps_what_was_unusable() -> None:
    batch, _, _, _ = propose([Answer("```python\ndef reward(:\n```")], parallel=1, budget_calls=1)
    assert batch.proposals == ()
    assert [item.reason for item in batch.unusable] == ["malformed"]
    assert batch.exhausted


def test_a_model_that_is_gone_is_replaced_by_another() -> None:
    def script(body: dict[str, Any]) -> Step:
        return Failure(404, "no such model") if body["model"] == "gone" else two_candidates(body)

    models = [{"model": "openai/gone", "weight": 50}, {"model": "openai/here"}]
    batch, calls, server, notes = propose(script, models=models)
    assert len(batch.proposals) == 6
    assert {item.origin for item in batch.proposals} == {"openai/here"}
    assert any("no such model; openai/here is asked instead" in note for note in notes)
    assert len(calls) == len(server.requests)
    again, _, server, _ = propose([], models=models, recorded=calls)
    assert again == batch
    assert server.requests == []


def test_only_when_none_is_left_the_search_stops() -> None:
    models = ["openai/one", "openai/two"]
    with pytest.raises(UserError, match=r"failed: .*no such model"):
        propose(lambda body: Failure(404, "no such model"), models=models)


def test_whoever_waits_is_told_why_and_how_long() -> None:
    script = [Failure(503, "model is loading", retry_after=0.2), two_candidates]

    def play(body: dict[str, Any]) -> Step:
        step = script.pop(0) if len(script) > 1 else script[0]
        return step(body) if callable(step) else step

    _, calls, _, notes = propose(play, count=2)
    assert len(notes) == 1
    assert "model is loading; attempt 2 of 5 in 0.2 s" in notes[0]
    assert [call.exchange for call in calls] == [0, 0]


def test_a_request_is_recorded_at_its_worst_case_before_it_is_sent() -> None:
    kept: list[LanguageModelCall] = []
    seen: list[int] = []

    def play(body: dict[str, Any]) -> Step:
        seen.append(len(kept))
        return two_candidates(body)

    with OpenAIServer(play) as server:
        proposer = build_proposer("litellm", {"models": "openai/x", "api_base": server.url, "max_tokens": 700})
        proposer.propose(replace(request(count=2, reflection_minimum=0), record_call=kept_in(kept)))
    assert seen == [1]
    unsettled: list[LanguageModelCall] = []

    def record(call: LanguageModelCall) -> Callable[[LanguageModelCall], None]:
        unsettled.append(call)
        raise KeyboardInterrupt

    with OpenAIServer(play) as server:
        proposer = build_proposer("litellm", {"models": "openai/x", "api_base": server.url, "max_tokens": 700})
        with pytest.raises(KeyboardInterrupt):
            proposer.propose(replace(request(count=2, reflection_minimum=0), record_call=record))
    assert server.requests == []
    assert unsettled[0].completion_tokens == 700
    assert unsettled[0].prompt_tokens >= len(unsettled[0].prompt.encode())


def test_a_prompt_that_stays_too_long_is_shortened_after_the_reply() -> None:
    limits: list[int] = []

    def play(body: dict[str, Any]) -> Step:
        limits.append(body["max_tokens"])
        if len(body["messages"][0]["content"]) > lengths[0] - 50:
            return Failure(400, "This model's maximum context length is 300 tokens; shorten the prompt")
        return two_candidates(body)

    with OpenAIServer(lambda body: two_candidates(body)) as server:
        proposer = build_proposer("litellm", {"models": "openai/x", "api_base": server.url})
        proposer.propose(request(count=2, reflection_minimum=0))
        lengths = [len(prompt) for prompt in server.prompts]
    batch, _, server, notes = propose(play, count=2, max_tokens=4000, questions=20, wrong_rollouts=5)
    assert len(batch.proposals) == 2
    assert limits == [4000, 2000, 2000]
    assert any("the prompt is shortened" in note for note in notes)


def test_a_round_can_fail_and_be_resumed_with_what_was_answered() -> None:
    def play(body: dict[str, Any]) -> Step:
        return two_candidates(body) if number_of(body) % 2 else Failure(401, "bad key")

    calls: list[LanguageModelCall] = []
    with OpenAIServer(play) as server:
        options = {"models": "openai/x", "api_base": server.url, "questions": 1, "candidates_per_call": 1}
        proposer = build_proposer("litellm", options)
        with pytest.raises(UserError, match="bad key"):
            proposer.propose(replace(request(count=6), record_call=kept_in(calls)))
    assert all("no answer was recorded" not in str(call.error) for call in calls)
