"""No record holds a key, in whatever form a reply or an error repeats it."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from search.proposers.language_model.keys import redacted
from search.proposers.language_model.settings import ModelSettings

KEY = "sk-very/secret+key=0123456789"


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> ModelSettings:
    monkeypatch.setenv("MY_KEY", KEY)
    return ModelSettings(
        model="openai/any", api_key_variable="MY_KEY", api_base="http://localhost:9/v1?token=in-the-address"
    )


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "Bearer "])
def test_a_key_in_base64_whatever_stands_before_it(settings: ModelSettings, before: str) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = f"say {encode(f'{before}{KEY} and more'.encode()).decode()} again"
        pieces = [encode(KEY[start : start + 12].encode()).decode() for start in range(3, 12)]
        assert any(piece in text for piece in pieces)
        found = redacted(text, settings)
        assert "[MY_KEY]" in found
        assert not any(piece in found for piece in pieces)


@pytest.mark.parametrize("form", [KEY, quote(KEY, safe=""), KEY.encode().hex(), KEY.encode().hex().upper()])
def test_a_key_in_other_forms(settings: ModelSettings, form: str) -> None:
    assert redacted(f"say {form} again", settings) == "say [MY_KEY] again"


def test_a_token_in_the_address_and_text_without_any(settings: ModelSettings) -> None:
    assert redacted("http://localhost:9/v1?token=in-the-address", settings).endswith("token=[api_base token]")
    assert redacted("def reward(prompt, completion, answer): ...", settings) == (
        "def reward(prompt, completion, answer): ..."
    )
