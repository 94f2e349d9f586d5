"""What is sent along with a prompt: against litellm's own knowledge of its models, without any server."""

from __future__ import annotations

from typing import Any

import pytest

from rewards_generated.errors import UserError
from search.proposers.language_model.keys import NO_KEY, key_of
from search.proposers.language_model.parameters import (
    SHORTEST_REPLY,
    accepted_parameters,
    check_request,
    mended,
    overflows,
    shorter_reply,
)
from search.proposers.language_model.prices import listed, price
from search.proposers.language_model.settings import LanguageModelSettings, ModelSettings
from search.proposers.registry import build_proposer
from tests.benchmarks import model_preflight


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI", "ANTHROPIC", "DEEPSEEK", "GEMINI", "HOSTED_VLLM", "AZURE"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)


def settings(model: str, **values: Any) -> ModelSettings:
    whole = LanguageModelSettings(models=({"model": model, **values},))  # type: ignore[arg-type]
    return whole.of(whole.models[0])


@pytest.mark.parametrize("model", ["openai/gpt-5", "openai/o4-mini", "openai/o3"])
def test_reasoning_models_are_sent_no_temperature_and_their_own_limit(model: str) -> None:
    values, refused = accepted_parameters(settings(model))
    assert refused == ["temperature"]
    assert "temperature" not in values
    check_request(settings(model), values)


def test_what_a_model_takes_is_sent() -> None:
    values, refused = accepted_parameters(settings("openai/gpt-4o", top_p=0.9, extra_body={"seed": 3}))
    assert refused == []
    assert values["temperature"] == 0.6
    assert values["top_p"] == 0.9
    assert values["extra_body"] == {"seed": 3}
    assert values["response_format"]["type"] == "json_schema"
    values, refused = accepted_parameters(settings("openai/gpt-5", reasoning_effort="low"))
    assert values["reasoning_effort"] == "low"
    assert accepted_parameters(settings("openai/gpt-4o", reasoning_effort="low"))[1] == ["reasoning_effort"]


def test_a_model_has_its_own_temperature_even_none() -> None:
    assert "temperature" not in accepted_parameters(settings("openai/gpt-4o", temperature=None))[0]
    assert accepted_parameters(settings("openai/gpt-4o", temperature=1.0))[0]["temperature"] == 1.0


def test_the_limit_is_what_the_model_can_give() -> None:
    assert accepted_parameters(settings("openai/gpt-4o", max_tokens=50_000))[0]["max_tokens"] == 16_384


def test_a_schema_that_is_demanded_but_not_taken_is_one_sentence() -> None:
    with pytest.raises(UserError, match="takes no JSON schema; set its structured_output"):
        accepted_parameters(settings("cohere/command-r-plus", structured_output="always"))


def test_what_is_no_language_model_is_one_sentence() -> None:
    with pytest.raises(UserError, match="no language model but one for embedding"):
        accepted_parameters(settings("openai/text-embedding-3-small"))


@pytest.mark.parametrize(
    ("error", "without"),
    [
        ("Unsupported value: 'temperature' does not support 0.6 with this model.", "temperature"),
        ("temperature: only 1 is allowed", "temperature"),
        ("`temperature` may only be set to 1 when thinking is enabled", "temperature"),
        ("This response_format type is unavailable now", "response_format"),
        ("Invalid schema for output: json_schema is not supported", "response_format"),
        ("Unrecognized request argument supplied: reasoning_effort", "reasoning_effort"),
        ("top_p is not allowed with temperature for this model: top_p", "temperature"),
    ],
)
def test_what_a_provider_refuses_is_left_out(error: str, without: str) -> None:
    values = {"max_tokens": 900, "temperature": 0.6, "top_p": 0.9, "response_format": {}, "reasoning_effort": "low"}
    found = mended(values, error)
    assert found is not None
    assert set(values) - set(found[0]) == {without}
    assert without in found[1]


def test_the_other_name_of_the_limit_is_used() -> None:
    found = mended({"max_tokens": 900}, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    assert found is not None
    assert found[0] == {"max_completion_tokens": 900}
    assert mended(found[0], "Use 'max_completion_tokens' instead of max_tokens") == (
        {"max_completion_tokens": 450},
        "replies are limited to 450 tokens",
    )


def test_a_limit_that_is_too_large_is_lowered_to_what_is_allowed() -> None:
    found = mended({"max_tokens": 12_000}, "max_tokens is too large: 12000. This model supports at most 4,096 tokens")
    assert found is not None
    assert found[0] == {"max_tokens": 4096}


def test_an_error_that_names_nothing_is_not_mended() -> None:
    assert mended({"max_tokens": 900, "temperature": 0.6}, "Invalid messages") is None


@pytest.mark.parametrize(
    "error",
    [
        "This model's maximum context length is 8192 tokens. However, you requested 14000 tokens.",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "The input is longer than the model's context window",
        "Please reduce the length of the messages",
    ],
)
def test_too_long_a_prompt_is_recognised(error: str) -> None:
    assert overflows(error)
    assert mended({"max_tokens": 12_000}, error) is None


def test_the_reply_gives_way_first() -> None:
    said = "This model's maximum context length is 8192 tokens. However, you requested 14000 tokens."
    assert shorter_reply(12_000, said) == 6192
    assert shorter_reply(6192, said) == 3096
    assert shorter_reply(3096, said) == SHORTEST_REPLY
    assert shorter_reply(SHORTEST_REPLY, said) is None


def test_prices_are_those_of_the_list_and_never_guessed() -> None:
    assert price(settings("openai/gpt-4o"), 1_000_000, 0) == pytest.approx(2.5)
    for unlisted in ("openai/o9", "anthropic/claude-opus-9", "openai/inhouse", "ollama/nobody-has-this"):
        assert listed(unlisted) == {}
        assert price(settings(unlisted), 1000, 1000) is None
    own = settings("openai/o9", usd_per_million_prompt_tokens=1, usd_per_million_completion_tokens=4)
    assert price(own, 1000, 500) == pytest.approx(0.003)


def test_a_name_of_another_provider_has_no_price_here() -> None:
    assert listed("deepseek/deepseek-chat")["litellm_provider"] == "deepseek"
    assert listed("openai/deepseek-chat") == {}


def test_long_prompts_cost_what_the_list_says_of_them() -> None:
    short, long = (price(settings("gemini/gemini-2.5-pro"), tokens, 0) for tokens in (100_000, 300_000))
    assert short is not None
    assert long is not None
    assert long > 3 * short * 1.5


@pytest.mark.parametrize(
    ("model", "address", "sent"),
    [
        ("openai/gpt-4o", None, "sk-openai"),
        ("openai/gpt-4o", "https://eu.api.openai.com/v1", "sk-openai"),
        ("openai/gpt-4o", "https://models.example.org/v1", NO_KEY),
        ("openai/gpt-4o", "http://127.0.0.1:8000/v1", NO_KEY),
        ("deepseek/deepseek-chat", "https://models.example.org/v1", NO_KEY),
        ("hosted_vllm/mine", "https://models.example.org/v1", "sk-vllm"),
        ("azure/gpt-4o", "https://mine.openai.azure.com", "sk-azure"),
    ],
)
def test_a_key_goes_to_its_own_provider_alone(
    model: str, address: str | None, sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"OPENAI": "sk-openai", "DEEPSEEK": "sk-deep", "HOSTED_VLLM": "sk-vllm"}.items():
        monkeypatch.setenv(f"{name}_API_KEY", f" {value}\n")
    monkeypatch.setenv("AZURE_API_KEY", "sk-azure")
    monkeypatch.setenv("AZURE_API_BASE", "x")
    monkeypatch.setenv("AZURE_API_VERSION", "x")
    assert key_of(settings(model, api_base=address)) == sent


def test_a_key_that_no_header_can_carry_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-abc\ndef")
    with pytest.raises(UserError, match="MY_KEY holds a line break"):
        key_of(settings("openai/x", api_key_variable="MY_KEY"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-gr\u00fcn")
    with pytest.raises(UserError, match="OPENAI_API_KEY holds"):
        key_of(settings("openai/gpt-4o"))


@pytest.mark.slow
def test_every_listed_model_of_six_providers_is_ready_or_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mcp", reason="needs the extra `responses`")

    def no_network(*asked: Any, **more: Any) -> Any:
        raise AssertionError(f"the preflight asked the network for {asked[:2]}")

    monkeypatch.setattr("socket.getaddrinfo", no_network)
    for provider in model_preflight.PROVIDERS:
        monkeypatch.setenv(f"{provider.upper()}_API_KEY", "sk-of-nobody")
    rows = model_preflight.table()
    assert [row["provider"] for row in rows] == list(model_preflight.PROVIDERS)
    for row in rows:
        assert row["models"] > 10
        assert row["ready"] == row["models"], row["refused before anything runs"]


@pytest.mark.parametrize(
    "address",
    ["http://[::1", "http://host:99999/v1", "http://host:port/v1", "http://:80/v1", "ftp://host/v1", "host/v1"],
)
def test_an_address_that_is_none_is_a_sentence(address: str) -> None:
    with pytest.raises(UserError, match=r"api_base.*(is no address|should match)"):
        build_proposer("litellm", {"models": "openai/x", "api_base": address})


def test_an_address_with_a_password_is_refused() -> None:
    with pytest.raises(UserError, match="api_key_variable"):
        build_proposer("litellm", {"models": {"model": "openai/x", "api_base": "http://me:secret@host/v1"}})
