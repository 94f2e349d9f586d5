"""How many tokens a reply is billed for, read from what the provider says of it: the largest consistent reading."""

from __future__ import annotations

from typing import Any


def billed_tokens(usage: Any, longest_prompt: int, longest_completion: int) -> tuple[int, int]:
    """Tokens of the prompt and of the completion.

    Providers count thoughts inside the completion, beside it, or in the total alone; what exceeds the parts is taken as
    part of the completion. A part that is missing, zero or negative is what the total leaves for it, else its worst
    case. `usage` has the fields of OpenAI's; None: the provider said nothing.
    """
    prompt, completion, total = (_count(usage, f"{name}_tokens") for name in ("prompt", "completion", "total"))
    reasoning = _count(getattr(usage, "completion_tokens_details", None), "reasoning_tokens") or 0
    if prompt is None and completion is None:
        prompt, completion = longest_prompt, longest_completion
    elif prompt is None:
        assert completion is not None
        prompt = total - completion if total and total > completion else longest_prompt
    elif completion is None:
        completion = total - prompt if total and total > prompt else longest_completion
    assert prompt is not None
    assert completion is not None
    if reasoning > completion:
        completion += reasoning
    return prompt, max(completion, (total or 0) - prompt)


def _count(counts: Any, name: str) -> int | None:
    """None where there is no positive whole number."""
    found = counts.get(name) if isinstance(counts, dict) else getattr(counts, name, None)
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else None
