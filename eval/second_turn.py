"""The second pass over a question: the policy sees its earlier response and may correct it."""

from __future__ import annotations

from collections.abc import Sequence

from eval.tasks.base import Message

SECOND_TURN = "Where might this be wrong?"
"""The phrase that ends the second prompt, unless another is asked for."""


def second_question(question: str, response: str, phrase: str = SECOND_TURN) -> str:
    """The user's text of a second pass: the question, an earlier response, and where to look."""
    return f"{question}\nEarlier: {response}\n{phrase}"


def second_prompt(prompt: Sequence[Message], response: str, phrase: str = SECOND_TURN) -> tuple[Message, ...]:
    """The chat of a second pass: that of the first with its last user message extended."""
    place = max(index for index, message in enumerate(prompt) if message["role"] == "user")
    asked: Message = {"role": "user", "content": second_question(prompt[place]["content"], response, phrase)}
    return (*prompt[:place], asked, *prompt[place + 1 :])
