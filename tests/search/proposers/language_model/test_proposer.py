"""The litellm proposer against a real HTTP server on the loopback interface. All of it in one module: litellm takes
seconds to import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rewards_generated.errors import UserError
from rewards_generated.identity import identity
from search.proposers.base import (
    BudgetExhausted,
    Feedback,
    LanguageModelCall,
    ProposalBatch,
    ProposalRequest,
    SettleCall,
    Spending,
)
from search.proposers.language_model.proposer import LanguageModelProposer
from search.proposers.registry import build_proposer
from tests.search.proposers.examples import as_json, code, fenced, ranked, request
from tests.search.proposers.openai_server import Answer, Failure, HangUp, OpenAIServer, Script, Silence

THREE = fenced(
    ("count_check", "reflection", code(0.1)),
    ("count_wait", "process", code(0.2, "wait")),
    ("count_so", "process", code(0.3, "so")),
)


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "MOONSHOT_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def proposer(server: OpenAIServer | None, **options: Any) -> LanguageModelProposer:
    settings: dict[str, Any] = {"models": "openai/test", "retry_wait_seconds": 0.01, "max_tokens": 1000, **options}
    if server is not None:
        settings.setdefault("api_base", server.url)
    built = build_proposer("litellm", settings)
    assert isinstance(built, LanguageModelProposer)
    return built


def propose(
    script: Script, asked: ProposalRequest | None = None, **options: Any
) -> tuple[ProposalBatch, list[LanguageModelCall], OpenAIServer]:
    """One round against a server that plays the script; also the calls that were recorded."""
    calls: list[LanguageModelCall] = []
    with OpenAIServer(script) as server:
        batch = proposer(server, **options).propose(replace(asked or request(), record_call=kept_in(calls)))
    return batch, calls, server


def kept_in(calls: list[LanguageModelCall]) -> Callable[[LanguageModelCall], SettleCall]:
    """Records calls in a list, as a ledger does."""

    def record(call: LanguageModelCall) -> SettleCall:
        place = len(calls)
        calls.append(call)

        def settle(settled: LanguageModelCall) -> None:
            calls[place] = settled

        return settle

    return record


def names(batch: ProposalBatch) -> list[str]:
    return [item.name for item in batch.proposals]


def test_a_good_reply_becomes_proposals_and_one_recorded_call() -> None:
    batch, calls, server = propose([Answer(THREE)])
    assert names(batch) == ["count_check", "count_wait", "count_so"]
    assert batch.proposals[0].origin == "openai/test"
    assert batch.proposals[0].family == "reflection"
    assert batch.unusable == ()
    assert len(calls) == 1
    assert calls[0].reply == THREE
    assert calls[0].prompt == server.prompts[0]
    assert calls[0].finish_reason == "stop"
    assert calls[0].prompt_tokens + calls[0].completion_tokens == server.billed_tokens
    assert calls[0].cost_usd is None


def test_two_rounds_through_every_trouble() -> None:
    known: list[str] = []
    broken = '{"candidates": [{"name": "torn", "code": "def reward(prompt, completion, answer):\\n  return 1.0"},, ]'
    first_script: Script = [
        Failure(429, retry_after=0.01),
        Failure(500),
        Answer("Certainly! Here is one.\n\n" + fenced(("one", "reflection", code(1.0))) + "\n\nIt counts checks."),
        Answer(broken),
        Answer(fenced(("again", "process", code(1.0)), ("two", "process", code(2.0)))),
    ]
    first, first_calls, _ = propose(first_script)
    assert names(first) == ["one", "torn", "two"]
    assert [item.reason for item in first.unusable] == ["duplicate"]
    assert [call.reply is None for call in first_calls] == [True, True, False, False, False]
    known = [identity(item.code) for item in first.proposals]
    feedback = Feedback("ranked", (ranked("one", first.proposals[0].code),))
    second_request = request(
        round=2, seed=8, feedback=feedback, known_identities=frozenset(known), spent=Spending.of(first_calls)
    )
    second_script: Script = [
        Silence(),
        Answer(fenced(("stale", "reflection", code(2.0)), ("three", "reflection", code(3.0)))),
        Answer(None, refusal="I can't help with that."),
        Answer(fenced(("four", "process", code(4.0))) + "\n\nname: five\n```python\ndef reward(prompt, c", "length"),
    ]
    second, second_calls, server = propose(second_script, second_request, timeout_seconds=0.5)
    assert names(second) == ["three", "four"]
    assert [item.reason for item in second.unusable] == ["duplicate", "refused", "truncated"]
    assert "earlier round" in second.unusable[0].detail
    assert "no reply within timeout_seconds = 0.5" in str(second_calls[0].error)
    assert "one" in server.prompts[0]
    assert "refused" in server.prompts[3]


def test_malformed_items_are_recorded_and_the_missing_number_is_asked_again() -> None:
    reply = fenced(("fine", "reflection", code(1.0)), ("broken", "process", "def reward(prompt, completion, answer:\n"))
    batch, calls, server = propose([Answer(reply), Answer(fenced(("more", "process", code(2.0)))), Answer("Sorry?")])
    assert names(batch) == ["fine", "more"]
    assert [item.reason for item in batch.unusable] == ["malformed", "malformed"]
    assert len(calls) == 3
    assert "Write 2 new candidates" in server.prompts[1]
    assert "'(' was never closed" in server.prompts[1]
    assert "Write 1 new candidate," in server.prompts[2]


def test_follow_ups_end_at_their_limit() -> None:
    batch, calls, _ = propose([Answer("no")] * 9, max_follow_ups=1)
    assert batch.proposals == ()
    assert len(calls) == 2


def test_missing_reflection_variants_are_asked_for_and_then_do_without() -> None:
    none_of_them = fenced(*((f"plain_{n}", "process", code(n)) for n in (1.0, 2.0, 3.0)))
    batch, _, server = propose([Answer(none_of_them), Answer(fenced(("wanted", "reflection", code(9.0))))])
    assert names(batch) == ["plain_1_0", "plain_2_0", "wanted"]
    assert "At least 1 of them must be of the family `reflection`" in server.prompts[1]
    assert [item.reason for item in batch.unusable] == ["surplus"]
    batch, _, _ = propose([Answer(none_of_them), Answer("no"), Answer("no")])
    assert names(batch) == ["plain_1_0", "plain_2_0", "plain_3_0"]


def test_surplus_is_recorded() -> None:
    batch, _, _ = propose([Answer(fenced(*((f"item_{n}", "reflection", code(n)) for n in range(1, 6))))])
    assert len(batch.proposals) == 3
    assert [item.reason for item in batch.unusable] == ["surplus", "surplus"]


def test_structured_output_where_the_model_has_it() -> None:
    reply = as_json(*((f"item_{n}", "reflection", code(n)) for n in (1, 2, 3)))
    batch, _, server = propose([Answer(reply)], models="openai/gpt-4o")
    assert names(batch) == ["item_1", "item_2", "item_3"]
    schema = server.requests[0]["response_format"]
    assert schema["type"] == "json_schema"
    assert "candidates" in schema["json_schema"]["schema"]["properties"]
    assert "JSON object" in server.prompts[0]
    _, _, server = propose([Answer(THREE)], models={"model": "openai/gpt-4o", "structured_output": "never"})
    assert "response_format" not in server.requests[0]
    assert "```python" in server.prompts[0]


def test_cost_is_recorded_from_the_price_list_or_from_the_options() -> None:
    answer = Answer(THREE, prompt_tokens=1000, completion_tokens=500)
    _, calls, _ = propose([answer], models="openai/gpt-4o")
    assert calls[0].cost_usd == pytest.approx(1000 * 2.5e-6 + 500 * 1e-5)
    priced = {"model": "openai/own", "usd_per_million_prompt_tokens": 1, "usd_per_million_completion_tokens": 4}
    _, calls, _ = propose([answer], models=priced)
    assert calls[0].cost_usd == pytest.approx(1000e-6 + 500 * 4e-6)


def test_the_worst_case_is_counted_where_the_server_says_nothing() -> None:
    _, calls, _ = propose([Answer(THREE, with_usage=False)])
    assert calls[0].prompt_tokens >= len(calls[0].prompt.encode())
    assert calls[0].completion_tokens == 1000


@pytest.mark.parametrize("step", [Answer("no candidates"), HangUp()])
def test_the_token_budget_is_never_passed(step: Answer | HangUp) -> None:
    """The server bills a token for every byte of the prompt, and all that the reply may take."""

    def script(body: dict[str, Any]) -> Answer | HangUp:
        if isinstance(step, HangUp):
            return step
        return replace(step, prompt_tokens=len(body["messages"][0]["content"].encode()) + 100, completion_tokens=1000)

    limit, spent, ended = 60_000, Spending(), ""
    with OpenAIServer(script) as server:
        one = proposer(server, budget_tokens=limit, budget_calls=None, max_follow_ups=1, max_attempts=2)
        for number in range(1, 99):
            calls: list[LanguageModelCall] = []
            try:
                one.propose(request(round=number, spent=spent, record_call=kept_in(calls)))
            except BudgetExhausted as exhausted:
                ended = str(exhausted)
                break
            except UserError:
                pass
            finally:
                spent += Spending.of(calls)
        assert "budget_tokens = 60,000" in ended
        assert len(server.requests) >= 4
        assert limit / 4 < server.billed_tokens <= spent.tokens <= limit


def test_the_budget_counts_earlier_rounds_and_recorded_calls() -> None:
    spent = Spending(calls=3, tokens=5000, cost_usd=1.0)
    paid = LanguageModelCall("openai/test", "p", None, "lost", prompt_tokens=10, completion_tokens=10)
    with OpenAIServer([]) as server:
        with pytest.raises(BudgetExhausted, match="budget_calls = 4"):
            proposer(server, budget_calls=4).propose(request(spent=spent, recorded_calls=[paid]))
        with pytest.raises(BudgetExhausted, match="budget_usd = 1"):
            proposer(server, models="openai/gpt-4o", budget_usd=1.0).propose(request(spent=spent))
        assert server.requests == []


def test_failed_requests_count_against_the_calls() -> None:
    calls: list[LanguageModelCall] = []
    with OpenAIServer([Failure(500)] * 9) as server:
        with pytest.raises(BudgetExhausted):
            proposer(server, budget_calls=3).propose(request(record_call=kept_in(calls)))
        assert len(server.requests) == len(calls) == 3
        assert Spending.of(calls).tokens == 0


def test_what_came_in_before_the_budget_ended_is_the_round() -> None:
    batch, calls, _ = propose([Answer(fenced(("only", "process", code(1.0))))], budget_calls=1)
    assert names(batch) == ["only"]
    assert len(calls) == 1


def test_a_usd_budget_needs_a_price() -> None:
    with pytest.raises(UserError, match="price of 'openai/test' is unknown"):
        proposer(None, budget_usd=1.0, api_base="http://localhost:1/v1").prepare()


def test_an_interrupted_round_is_replayed_without_a_request_and_ends_the_same() -> None:
    script: list[Answer | Failure] = [
        Failure(500),
        Answer(fenced(("one", "reflection", code(1.0))) + "\n```python\ndef reward(", "length"),
        Answer(fenced(("two", "process", code(2.0)))),
        Answer(fenced(("three", "process", code(3.0)))),
    ]
    whole, calls, _ = propose(script)
    assert names(whole) == ["one", "two", "three"]
    again, no_calls, server = propose([], request(recorded_calls=calls))
    assert again == whole
    assert no_calls == []
    assert server.requests == []
    for kept in range(len(calls)):
        resumed, new_calls, server = propose(script[kept:], request(recorded_calls=calls[:kept]))
        assert resumed == whole
        assert [(call.prompt, call.reply) for call in new_calls] == [(call.prompt, call.reply) for call in calls[kept:]]


def test_a_round_that_failed_for_good_can_be_resumed() -> None:
    calls: list[LanguageModelCall] = []
    with OpenAIServer([Failure(503)] * 3) as server, pytest.raises(UserError, match="failed 3 times"):
        proposer(server, max_attempts=3).propose(request(record_call=kept_in(calls)))
    batch, _, _ = propose([Answer(THREE)], request(recorded_calls=calls))
    assert len(batch.proposals) == 3


def test_errors_that_no_retry_mends_are_told_at_once() -> None:
    with OpenAIServer([Failure(401, "bad key")] * 3) as server:
        with pytest.raises(UserError, match="bad key"):
            proposer(server).propose(request())
        assert len(server.requests) == 1


def test_no_key_is_a_sentence_before_anything_is_sent() -> None:
    with pytest.raises(UserError, match="'openai/gpt-4o' needs the environment variable OPENAI_API_KEY"):
        proposer(None, models="openai/gpt-4o").prepare()
    with pytest.raises(UserError, match="MY_KEY"):
        proposer(
            None, models={"model": "openai/x", "api_base": "http://host/v1", "api_key_variable": "MY_KEY"}
        ).prepare()
    with pytest.raises(UserError, match="names no provider"):
        proposer(None, models="gibberish").prepare()


def test_the_key_comes_from_the_environment_and_stays_out_of_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    calls: list[LanguageModelCall] = []
    with OpenAIServer([Failure(500, "you sent sk-very-secret"), Answer(THREE)]) as server:
        model = {"model": "openai/test", "api_key_variable": "MY_KEY"}
        proposer(server, models=model).propose(request(record_call=kept_in(calls)))
        assert server.headers[0]["Authorization"] == "Bearer sk-very-secret"
    assert "[MY_KEY]" in str(calls[0].error)
    assert "very-secret" not in repr(calls)


def test_a_local_server_is_not_sent_the_key_of_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-meant-for-another")
    _, _, server = propose([Answer(THREE)])
    assert "meant-for-another" not in str(server.headers)


def test_several_models_are_chosen_by_weight_and_seed() -> None:
    models = [{"model": "openai/often", "weight": 3}, {"model": "openai/seldom", "weight": 1}]

    def asked(seed: int) -> str:
        _, _, server = propose(lambda body: Answer(THREE), request(seed=seed), models=models)
        return str(server.requests[0]["model"])

    chosen = [asked(seed) for seed in range(24)]
    assert chosen == [asked(seed) for seed in range(24)]
    assert 0 < chosen.count("seldom") < chosen.count("often")


def test_parameters_reach_the_server() -> None:
    _, _, server = propose([Answer(THREE)], temperature=0.3, max_tokens=777)
    assert server.requests[0]["temperature"] == 0.3
    assert server.requests[0]["max_tokens"] == 777
    _, _, server = propose([Answer(THREE)], temperature=None)
    assert "temperature" not in server.requests[0]


def test_a_round_can_be_split_into_several_calls() -> None:
    script = [Answer(fenced((f"item_{n}", "reflection", code(n)))) for n in (1, 2, 3)]
    batch, calls, server = propose(script, candidates_per_call=1, parallel=1)
    assert names(batch) == ["item_1", "item_2", "item_3"]
    assert len(calls) == 3
    assert "item_1" in server.prompts[1]


def test_half_surrogates_in_a_reply_do_no_harm() -> None:
    batch, calls, _ = propose([Answer("name: half \ud83d\n" + THREE + "\n```python\n\ud83d```")])
    assert len(batch.proposals) == 3
    calls[0].reply.encode("utf-8")  # type: ignore[union-attr]


def test_the_worst_case_of_a_call_is_known_before_it_is_sent() -> None:
    case = proposer(None, models="openai/gpt-4o", api_base="http://localhost:1/v1").worst_case(request())
    assert case.calls == 1
    assert case.tokens > 1000
    assert case.cost_usd == pytest.approx((case.tokens - 1000) * 2.5e-6 + 1000 * 1e-5)
