"""Replies of every kind of brokenness: parser and static rules take them without a crash, and lose no item."""

from __future__ import annotations

import ast
import json
import random
import time

import pytest

from rewards_generated.base import BASE_REWARDS
from rewards_generated.gate.static_rules import violations
from search.proposers.base import UnusableItem
from search.proposers.replies.reply import ReplyItem, parse_reply
from search.proposers.replies.sets import parse_set_reply
from tests.search.proposers.examples import as_json, code, fenced

SPLINTERS = (
    *("```", "```python\n", "~~~", "\n\n", "{", "}", "[", "]", '"', "'''", '"""', "\\", "\\n", "\\ud800", "\ud800"),
    *(
        "\x00",
        "\x1b[2J",
        "\u202e",
        "\u2028",
        "\ufeff",
        "é",
        "🙂",
        "\t",
        "-" * 200,
        "(" * 300,
        "[" * 3000,
        '{"a": ' * 3000,
    ),
    *(
        "<think>",
        "</think>",
        "<candidate>",
        "</candidate>",
        "<|im_end|>",
        "I am sorry, I cannot help.",
        "# Candidate 2\n",
    ),
    *(
        "def reward(",
        "def reward(prompt, completion, answer):\n",
        "class A: pass\n",
        "async ",
        "lambda: ",
        "import os\n",
    ),
    *("    return float('1' * 5000)\n", "x = " + "9" * 5000 + "\n", "null", "NaN", "1e999", "candidates", '"code": '),
    *("name: ", "family: "),
)
PROSE = ("Here it is.", "It pays for checks.", "This one is [2] better, I hope.", "", "Notes: none.")


def candidates(draw: random.Random) -> list[tuple[str, str, str]]:
    return [
        (f"item_{draw.randrange(1000)}_{n}", "process", code(1.0 + draw.random())) for n in range(draw.randint(1, 3))
    ]


def written(draw: random.Random, items: list[tuple[str, str, str]]) -> str:
    if draw.random() < 0.4:
        return f"{draw.choice(PROSE)}\n\n{as_json(*items)}\n\n{draw.choice(PROSE)}"
    return f"\n\n{draw.choice(PROSE)}\n\n".join(fenced(item) for item in items)


def broken(draw: random.Random, reply: str) -> str:
    for _ in range(draw.randint(1, 6)):
        start, end = sorted(draw.randrange(len(reply) + 1) for _ in range(2))
        how = draw.randrange(5)
        if how == 0:
            reply = reply[:start] + draw.choice(SPLINTERS) + reply[start:]
        elif how == 1:
            reply = reply[:start] + reply[min(end, start + 40) :]
        elif how == 2:
            reply = reply[:end]
        elif how == 3:
            reply = reply[:start] + reply[start : min(end, start + 400)] + reply[start:]
        else:
            reply = "".join(draw.choice(SPLINTERS) for _ in range(draw.randint(0, 12))) + reply[start:]
    return reply


def require_sound(items: list[ReplyItem], unusable: list[UnusableItem]) -> None:
    assert items or unusable, "a reply in which nothing is found says so"
    for item in items:
        assert item.name.isprintable()
        violations(ast.parse(item.code))
        json.dumps([item.name, item.family, item.description, item.code]).encode()
    for one in unusable:
        assert one.detail
        json.dumps([one.detail, one.excerpt]).encode()


def take(seeds: range) -> None:
    for seed in seeds:
        draw = random.Random(seed)
        items = candidates(draw)
        whole = written(draw, items)
        found, unusable = parse_reply(whole, "stop")
        assert [item.name for item in found] == [name for name, _, _ in items], (seed, unusable)
        reply = broken(draw, whole)
        started = time.perf_counter()
        require_sound(*parse_reply(reply, draw.choice(("stop", "length", "content_filter", ""))))
        if seed % 4 == 0:
            require_sound(*parse_set_reply(reply, "stop", tuple(BASE_REWARDS)))
        assert time.perf_counter() - started < 60, f"seed {seed} takes too long"


def test_two_hundred_replies() -> None:
    take(range(200))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_five_thousand_replies(block: int) -> None:
    take(range(200 + block * 480, 200 + (block + 1) * 480))
