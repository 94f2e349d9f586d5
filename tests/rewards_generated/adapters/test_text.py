"""Chat messages to the text that a reward sees."""

from __future__ import annotations

from rewards_generated.adapters.text import completion_text, prompt_text


def test_text_stays_text() -> None:
    assert prompt_text("a") == "a"
    assert completion_text("") == ""


def test_the_prompt_is_the_last_user_message() -> None:
    chat = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "last"},
    ]
    assert prompt_text(chat) == "last"
    assert prompt_text(chat[:1]) == "s"
    assert prompt_text([]) == ""


def test_the_completion_is_all_that_the_assistant_said() -> None:
    chat = [
        {"role": "assistant", "content": "one"},
        {"role": "tool", "content": "42"},
        {"role": "assistant", "content": "two"},
        {"role": "assistant", "content": None},
    ]
    assert completion_text(chat) == "one\ntwo"
    assert completion_text([{"content": "no role"}]) == "no role"


def test_messages_in_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image", "url": "x"}, {"type": "text", "text": "b"}]
    assert prompt_text([{"role": "user", "content": parts}]) == "ab"
