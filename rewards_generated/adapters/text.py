"""From what trainers pass around (text or chat messages) to the text that a reward sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def prompt_text(prompt: str | Sequence[Mapping[str, object]]) -> str:
    """The prompt as a reward sees it: text as it is, of a chat the last user message (or, without one, the last)."""
    if isinstance(prompt, str):
        return prompt
    of_users = [message for message in prompt if message.get("role") == "user"]
    messages = of_users or list(prompt)
    return _content(messages[-1]) if messages else ""


def completion_text(completion: str | Sequence[Mapping[str, object]]) -> str:
    """The completion as a reward sees it: text as it is, of a chat all of the assistant's messages, line by line."""
    if isinstance(completion, str):
        return completion
    texts = [_content(message) for message in completion if message.get("role", "assistant") == "assistant"]
    return "\n".join(text for text in texts if text)


def _content(message: Mapping[str, object]) -> str:
    """The text of one message; of a message in parts, those that are text."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return ""
