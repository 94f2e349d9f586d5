"""Requests, candidates and replies that the tests of proposers share."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from rewards_generated.identity import identity
from rewards_generated.rollout import Rollout
from search.proposers.base import FailedCandidate, Feedback, ProposalRequest, RankedCandidate

ROLLOUTS = [
    Rollout(
        f"How much is {n} + 1?",
        f"<thinking>{n} + 1 = {n + 1}</thinking>\n<solution>{n + 1}</solution>",
        str(n + 1),
        True,
        True,
        f"q{n}",
    )
    for n in range(4)
] + [
    Rollout(
        f"How much is {n} + 1?",
        f"<thinking>slip number {n}</thinking>\n<solution>{n}</solution>",
        str(n + 1),
        False,
        True,
        f"q{n}",
    )
    for n in range(4)
]


def code(number: float, word: str = "check") -> str:
    """A candidate that differs from others by its number or word."""
    return (
        f'"""Counts the word {word}."""\n\n\n'
        "def reward(prompt: str, completion: str, answer: str) -> float:\n"
        f"    return {number} * min(3, completion.lower().count({word!r}))\n"
    )


def ranked(name: str, source: str, f1: float = 0.5, round: int = 1, **changes: Any) -> RankedCandidate:
    candidate = RankedCandidate(
        name=name,
        identity=identity(source),
        round=round,
        code=source,
        family="process",
        parents=(),
        f1=f1,
        f1_low=f1 - 0.05,
        f1_high=f1 + 0.05,
        accuracy=f1 / (2 - f1),
        extraction_rate=0.9,
        firing_rate=0.25,
        mean_completion_tokens=42.0,
    )
    return replace(candidate, **changes)


def failed(name: str, source: str, *reasons: str) -> FailedCandidate:
    return FailedCandidate(name, None, 1, source, reasons)


def request(**changes: Any) -> ProposalRequest:
    """A first round of three candidates, one of them a reflection variant."""
    plain = ProposalRequest(
        round=1,
        count=3,
        reflection_minimum=1,
        feedback=Feedback("ranked"),
        task_description="Sums of two numbers, answered in <solution> tags.",
        question_answer_pairs=[(f"How much is {n} + 1?", str(n + 1)) for n in range(40)],
        rollouts=ROLLOUTS,
        seed=7,
        known_identities=frozenset(),
        base_rewards=("format_exact", "answer_check"),
    )
    return replace(plain, **changes)


def fenced(*items: tuple[str, str, str]) -> str:
    """A reply as the prompt asks for it: (name, family, code) in header lines and a fenced block each."""
    return "\n\n".join(
        f"name: {name}\nfamily: {family}\ndescription: what {name} rewards\n```python\n{source}```"
        for name, family, source in items
    )


def as_json(*items: tuple[str, str, str]) -> str:
    """The same as one JSON object."""
    return json.dumps(
        {
            "candidates": [
                {"name": name, "family": family, "description": f"what {name} rewards", "code": source}
                for name, family, source in items
            ]
        }
    )
