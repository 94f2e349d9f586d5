"""Large parts of the page: compressed JSON that its script unpacks when a reader asks for it."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from eval.report.data import AskedSplit, Exchange, ReportData, Rollout
from eval.report.text import LONGEST_SHOWN, visible

MOST_BYTES = {"exchanges": 400_000, "rollouts": 400_000, "asked": 700_000}
"""Of each part, as it stands in the page."""
LONGEST_EXCHANGE = 200_000


class Part(NamedTuple):
    packed: str
    """Base64 of zlib's format."""
    kept: int
    of: int
    """Items: exchanges, rollouts, or questions with their completions."""


def parts(data: ReportData) -> dict[str, Part]:
    """By name; none for what the run does not have. What would make the page too large is left out from the end: the
    oldest rollouts, the latest exchanges, the completions of the questions on which policies agree most."""
    found = {}
    if data.exchanges:
        found["exchanges"] = _fitting("exchanges", len(data.exchanges), lambda k: _exchanges(data.exchanges[:k]))
    if data.rollouts:
        rollouts = sorted(data.rollouts, key=lambda item: -(item.step or 0))
        found["rollouts"] = _fitting("rollouts", len(rollouts), lambda k: _rollouts(rollouts[:k]))
    if data.asked:
        orders = [_dividing_first(asked) for asked in data.asked]
        most = max(map(len, orders))
        found["asked"] = _fitting(
            "asked", most, lambda k: [_asked(a, o[:k]) for a, o in zip(data.asked, orders, strict=True)]
        )
    return found


def _fitting(name: str, items: int, content: Callable[[int], Any]) -> Part:
    """With as many items as there is room for, found by halving."""
    low, high, packed = 0, items, _packed(content(items))
    if len(packed) <= MOST_BYTES[name]:
        return Part(packed, items, items)
    packed = _packed(content(0))
    while high - low > max(1, items // 64):
        middle = (low + high) // 2
        tried = _packed(content(middle))
        if len(tried) <= MOST_BYTES[name]:
            low, packed = middle, tried
        else:
            high = middle
    return Part(packed, low, items)


def _packed(content: Any) -> str:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 6)).decode()


class _Table:
    """Texts by number: each is kept once."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        return self.places.setdefault(text, len(self.places))


def _exchanges(exchanges: Sequence[Exchange]) -> dict[str, Any]:
    """Line by line, since the questions of a search have most lines in common."""
    lines = _Table()

    def text(words: str) -> list[int]:
        return [lines(line) for line in visible(words, LONGEST_EXCHANGE).split("\n")]

    rows = [
        {
            "round": item.round,
            "model": visible(item.model, 200),
            "prompt": text(item.prompt),
            "reply": None if item.reply is None else text(item.reply),
            "error": visible(item.error or "", 2_000),
            "tokens": item.tokens,
            "cost": item.cost_usd,
            "finish": visible(item.finish_reason, 60),
        }
        for item in exchanges
    ]
    return {"rows": rows, "lines": list(lines.places)}


def _rollouts(rollouts: Sequence[Rollout]) -> dict[str, Any]:
    prompts, policies = _Table(), _Table()
    rows = [
        {
            "policy": policies(visible(f"{item.policy}, {item.stage}, seed {item.seed}", 300)),
            "step": item.step,
            "prompt": prompts(visible(item.prompt, 1_500)),
            "completion": visible(item.completion, LONGEST_SHOWN),
            "answer": visible(item.answer, 200),
            "total": item.total,
            "scores": {visible(name, 200): score for name, score in item.scores.items()},
        }
        for item in rollouts
    ]
    return {"rows": rows, "prompts": list(prompts.places), "policies": list(policies.places)}


def _dividing_first(asked: AskedSplit) -> list[int]:
    """Questions by how evenly right and wrong are divided among the policies."""
    right = [sum(p.predictions[k].correct for p in asked.policies) for k in range(len(asked.questions))]
    return sorted(range(len(right)), key=lambda k: (abs(2 * right[k] - len(asked.policies)), k))


def _asked(asked: AskedSplit, with_completions: Sequence[int]) -> dict[str, Any]:
    kept = set(with_completions)
    return {
        "stage": asked.stage,
        "split": asked.split,
        "questions": [
            {
                "id": visible(question.id, 200),
                "prompt": visible(question.prompt or "", 1_500),
                "answer": visible(question.answer or "", 200),
                "base": [question.base.right, question.base.samples] if question.base else None,
            }
            for question in asked.questions
        ],
        "policies": [
            {
                "name": visible(item.policy, 200),
                "seed": item.seed,
                "right": "".join("1" if p.correct else "0" for p in item.predictions),
                "tokens": [p.completion_tokens for p in item.predictions],
                "read": [None if p.strict is None else visible(p.strict, 100) for p in item.predictions],
                "completions": {
                    k: visible(p.completion, LONGEST_SHOWN) for k, p in enumerate(item.predictions) if k in kept
                },
            }
            for item in asked.policies
        ],
    }
