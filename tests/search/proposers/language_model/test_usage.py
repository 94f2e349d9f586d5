"""What is billed, from the usages that providers are known to report."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from search.proposers.language_model.usage import billed_tokens

LONGEST = (9000, 1000)


def usage(prompt: Any = None, completion: Any = None, total: Any = None, reasoning: Any = None) -> SimpleNamespace:
    details = None if reasoning is None else SimpleNamespace(reasoning_tokens=reasoning)
    return SimpleNamespace(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=total, completion_tokens_details=details
    )


@pytest.mark.parametrize(
    ("said", "billed"),
    [
        (usage(100, 50, 150), (100, 50)),
        (usage(100, 50, 150, reasoning=40), (100, 50)),  # thoughts inside the completion, as OpenAI counts
        (usage(100, 50, 1150, reasoning=1000), (100, 1050)),  # beside it
        (usage(100, 50, 1150), (100, 1050)),  # in the total alone
        (usage(100, 50, reasoning=1000), (100, 1050)),  # without a total
        (usage(100, None, 400), (100, 300)),
        (usage(None, 50, 400), (350, 50)),
        (usage(None, None, 9400), (9000, 1000)),
        (usage(None, None, 19400), (9000, 10400)),
        (usage(100, 0, 100), (100, 1000)),  # a reply came, so it was not of no tokens
        (usage(0, 0, 0), LONGEST),
        (usage(), LONGEST),
        (None, LONGEST),
        (usage(-100_000, -200, -100_200), LONGEST),
        (usage(100, -5, 150), (100, 50)),
        (usage("100", 50.5, True), LONGEST),
    ],
)
def test_the_largest_consistent_reading(said: Any, billed: tuple[int, int]) -> None:
    assert billed_tokens(said, *LONGEST) == billed


def test_details_may_be_a_dictionary() -> None:
    said = usage(10, 5)
    said.completion_tokens_details = {"reasoning_tokens": 7}
    assert billed_tokens(said, *LONGEST) == (10, 12)
