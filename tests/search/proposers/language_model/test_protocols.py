"""One round against servers that speak each provider's own protocol, through litellm's real clients."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rewards_generated.errors import UserError
from search.proposers.base import LanguageModelCall, ProposalBatch
from search.proposers.language_model.proposer import LanguageModelProposer
from search.proposers.registry import build_proposer
from tests.search.proposers.examples import code, fenced, request
from tests.search.proposers.language_model.test_proposer import kept_in
from tests.search.proposers.provider_server import (
    COMPLETION_TOKENS,
    PROMPT_TOKENS,
    PROTOCOLS,
    Protocol,
    ProviderServer,
    Reply,
)

THREE = fenced(*((f"item_{n}", "reflection", code(n)) for n in (0.1, 0.2, 0.3)))
KEY = "sk-of-the-server"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)


@pytest.fixture(params=sorted(PROTOCOLS))
def protocol(request: pytest.FixtureRequest) -> Protocol:
    name = str(request.param)
    if name == "openai responses":
        pytest.importorskip("mcp", reason="needs the extra `responses`")
    return PROTOCOLS[name]


def propose(
    protocol: Protocol, play: Callable[[dict[str, Any], int], Reply], **options: Any
) -> tuple[ProposalBatch, list[LanguageModelCall], ProviderServer]:
    calls: list[LanguageModelCall] = []
    with ProviderServer(play) as server:
        model = {"model": protocol.model, "structured_output": "never", "api_base": server.url + protocol.base}
        settings = {"models": {**model, "api_key_variable": "MY_KEY"}, "retry_wait_seconds": 0.01, "max_tokens": 900}
        proposer = build_proposer("litellm", settings | options)
        assert isinstance(proposer, LanguageModelProposer)
        batch = proposer.propose(replace(request(), record_call=kept_in(calls)))
    return batch, calls, server


def test_a_reply_its_tokens_and_the_request_that_brought_it(protocol: Protocol) -> None:
    batch, calls, server = propose(protocol, lambda body, number: Reply(protocol.answer(THREE, "end")))
    assert len(batch.proposals) == 3
    assert server.paths[0].partition("?")[0].endswith(protocol.path)
    assert protocol.limit(server.requests[0]) == 900
    assert [(call.prompt_tokens, call.completion_tokens) for call in calls] == [(PROMPT_TOKENS, COMPLETION_TOKENS)]
    assert calls[0].finish_reason == "stop"
    if protocol.key is not None:
        assert KEY in {name.lower(): value for name, value in server.headers[0].items()}[protocol.key.lower()]
    assert all(KEY not in path for path in server.paths)


def test_a_reply_that_was_cut_off(protocol: Protocol) -> None:
    cut = fenced(("whole", "reflection", code(0.1))) + "\n\nname: cut\n```python\ndef reward(prompt, comp"
    batch, calls, _ = propose(protocol, lambda body, number: Reply(protocol.answer(cut, "length")), max_follow_ups=0)
    assert [item.name for item in batch.proposals] == ["whole"]
    assert [item.reason for item in batch.unusable] == ["truncated"]
    assert calls[0].finish_reason == "length"


def test_a_reply_that_was_blocked_is_paid_for_and_asked_for_again(protocol: Protocol) -> None:
    batch, calls, _ = propose(
        protocol, lambda body, number: Reply(protocol.answer(THREE, "end" if number else "blocked"))
    )
    assert len(batch.proposals) == 3
    assert len(calls) == 2
    assert calls[0].completion_tokens == COMPLETION_TOKENS
    assert len(batch.unusable) == 1


def test_a_busy_server_is_asked_again(protocol: Protocol) -> None:
    def play(body: dict[str, Any], number: int) -> Reply:
        busy = Reply(protocol.error(protocol.busy, "Overloaded"), protocol.busy)
        return Reply(protocol.answer(THREE, "end")) if number else busy

    batch, calls, _ = propose(protocol, play)
    assert len(batch.proposals) == 3
    assert [call.reply is None for call in calls] == [True, False]
    assert "Overloaded" in str(calls[0].error)
    assert calls[0].prompt_tokens == 0


def test_a_parameter_that_the_server_refuses_is_left_out(protocol: Protocol) -> None:
    def play(body: dict[str, Any], number: int) -> Reply:
        if "'temperature'" in repr(body):
            return Reply(protocol.error(400, "temperature is not supported with this model"), 400)
        return Reply(protocol.answer(THREE, "end"))

    batch, calls, server = propose(protocol, play)
    assert len(batch.proposals) == 3
    assert "'temperature'" not in repr(server.requests[-1])
    assert len(calls) == len(server.requests)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_no_retry_mends_is_one_sentence_after_one_request(protocol: Protocol, status: int) -> None:
    with pytest.raises(UserError, match="not for you") as raised:
        propose(protocol, lambda body, number: Reply(protocol.error(status, "not for you"), status))
    assert "Traceback" not in str(raised.value)
    assert "failed:" in str(raised.value)


def test_a_probe_asks_for_one_token(protocol: Protocol) -> None:
    with ProviderServer(lambda body, number: Reply(protocol.answer("yes", "length"))) as server:
        model = {"model": protocol.model, "api_base": server.url + protocol.base, "api_key_variable": "MY_KEY"}
        proposer = build_proposer("litellm", {"models": model})
        assert isinstance(proposer, LanguageModelProposer)
        [found] = proposer.probe()
    assert f"{protocol.model} answers: {PROMPT_TOKENS + COMPLETION_TOKENS} tokens" in found
    # litellm itself asks the responses API for the 16 that it wants at least.
    assert [protocol.limit(body) for body in server.requests] == [16 if protocol.path == "/responses" else 1]


def test_a_probe_of_a_model_that_wants_more_tokens_and_one_that_is_gone() -> None:
    protocol = PROTOCOLS["openai chat"]

    def play(body: dict[str, Any], number: int) -> Reply:
        if body["model"] == "gone":
            return Reply(protocol.error(404, "no such model"), 404)
        if body["max_tokens"] < 16:
            return Reply(protocol.error(400, "max_tokens: Expected a value >= 16, but got 1 instead"), 400)
        return Reply(protocol.answer("yes", "end"))

    with ProviderServer(play) as server:
        proposer = build_proposer("litellm", {"models": "openai/wants-more", "api_base": f"{server.url}/v1"})
        assert isinstance(proposer, LanguageModelProposer)
        assert len(proposer.probe()) == 1
        assert [body["max_tokens"] for body in server.requests] == [1, 16]
        proposer = build_proposer("litellm", {"models": "openai/gone", "api_base": f"{server.url}/v1"})
        assert isinstance(proposer, LanguageModelProposer)
        with pytest.raises(UserError, match=r"'openai/gone' cannot be asked: .*no such model"):
            proposer.probe()


def test_a_schema_comes_back_as_the_call_of_a_tool() -> None:
    """Anthropic is given a schema as a tool, by litellm; servers that write into a tool's call are read as well."""
    found = [{"name": f"item_{n}", "family": "reflection", "description": "d", "code": code(n)} for n in (1, 2, 3)]
    protocol = PROTOCOLS["anthropic messages"]

    def play(body: dict[str, Any], number: int) -> Reply:
        answer = protocol.answer("", "end")
        tool = {"type": "tool_use", "id": "toolu_1", "name": "json_tool_call", "input": {"candidates": found}}
        return Reply({**answer, "content": [tool], "stop_reason": "tool_use"})

    with ProviderServer(play) as server:
        model = {"model": protocol.model, "api_base": server.url, "structured_output": "always"}
        proposer = build_proposer("litellm", {"models": model, "max_tokens": 900})
        assert len(proposer.propose(request()).proposals) == 3
        assert server.requests[0]["tools"][0]["name"] == "json_tool_call"

    protocol = PROTOCOLS["openai chat"]

    def call(body: dict[str, Any], number: int) -> Reply:
        answer = protocol.answer("", "end")
        function = {"name": "propose", "arguments": json.dumps({"candidates": found})}
        tool = {"id": "call_1", "type": "function", "function": function}
        answer["choices"][0] |= {
            "message": {"role": "assistant", "content": None, "tool_calls": [tool]},
            "finish_reason": "tool_calls",
        }
        return Reply(answer)

    with ProviderServer(call) as server:
        proposer = build_proposer("litellm", {"models": "openai/x", "api_base": f"{server.url}/v1"})
        assert len(proposer.propose(request()).proposals) == 3


def _message(content: Any, **more: Any) -> dict[str, Any]:
    answer = PROTOCOLS["openai chat"].answer("", "end")
    answer["choices"][0] |= {"message": {"role": "assistant", "content": content, **more}}
    return answer


ODD = {
    "no choices": {**_message(THREE), "choices": []},
    "choices null": {**_message(THREE), "choices": None},
    "an empty object": {},
    "an error with status 200": {"error": {"message": "Provider returned error", "code": 502}},
    "a choice without a message": {**_message(THREE), "choices": [{"index": 0, "finish_reason": "stop"}]},
    "thoughts alone": _message(None, reasoning_content="Hmm."),
    "a call of no function": _message(None, tool_calls=[]),
    "an empty text": _message(""),
}


@pytest.mark.parametrize("name", ODD)
def test_an_answer_that_is_none_is_paid_for_and_asked_for_again(name: str) -> None:
    protocol = PROTOCOLS["openai chat"]
    batch, calls, _ = propose(
        protocol, lambda body, number: Reply(protocol.answer(THREE, "end") if number else ODD[name])
    )
    assert len(batch.proposals) == 3
    assert len(calls) == 2
    assert calls[0].prompt_tokens >= PROMPT_TOKENS
    assert calls[0].completion_tokens >= COMPLETION_TOKENS
    assert "Traceback" not in str(calls[0].error)
