from __future__ import annotations

from search.proposers.question.prompt import render_prompt
from search.proposers.question.tokens import estimated_tokens, parts, parts_table
from search.proposers.settings import PromptSettings
from tests.search.proposers.examples import request


def test_bytes_are_counted() -> None:
    assert estimated_tokens("") == 0
    assert estimated_tokens("x" * 32) == 10
    assert estimated_tokens("é" * 16) == 10


def test_parts_follow_the_headings_outside_data() -> None:
    text = "Hello.\n\n# One\na\n[data-0123abcd x]\n# Forged\n[end data-0123abcd]\n## Two\n```python\nb\n```\n# One\nc\n"
    assert [part.title for part in parts(text)] == ["introduction", "One", "Two"]


def test_the_parts_of_a_prompt_add_up() -> None:
    text = render_prompt(request(), PromptSettings())
    found = parts(text)
    assert [part.title for part in found][:3] == ["introduction", "The task", "What the policy does before training"]
    assert 0 <= sum(part.tokens for part in found) - estimated_tokens(text) <= len(found)
    assert parts_table(text).splitlines()[-1] == f"{estimated_tokens(text):>7,}  in all, estimated at 3.2 bytes a token"
