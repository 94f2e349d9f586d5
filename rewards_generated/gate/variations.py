"""Small inputs made for the candidate at hand: few, one or two of each thing that its code looks for.

A division by `count - 1` is safe on empty text and on long text; only a completion with exactly one hit shows it.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Sequence
from dataclasses import replace

from rewards_generated.answers import AnswerFormat
from rewards_generated.gate.corpus import HostileInput
from rewards_generated.rollout import Rollout, Sample

_WORD = re.compile(r"</?[a-z]{2,12}>|[A-Za-z]{2,16}(?:[ -][A-Za-z]{2,16}){0,2}")
_COMMON = (
    "wait", "check", "verify", "hmm", "step", "so", "because", "mistake", "=", "+", "-", "*", "/", ".", ",", "\n", "?",
    "17 + 5 = 22", "17 + 5 = 12", "9 - 4 = 5", "6 * 7 = 42", "8 / 2 = 4", "5 = 5", "22", "3.5", "-1",
)  # fmt: skip
_MOST_WORDS = 60
_MIXTURES = 120
_LONGEST_MIXTURE = 30


def variations(
    tree: ast.Module, form: AnswerFormat, rollouts: Sequence[Rollout] = (), seed: str = ""
) -> tuple[HostileInput, ...]:
    """Each word of the code's strings, each common piece and each mark of the answer format once, twice and three
    times, and mixtures of them, every other one under the prompt and the answer of one of the rollouts.

    The same for the same code, rollouts and seed.
    """
    answered = form.completion("", "22").removeprefix(form.opening).removeprefix(form.closing).strip()
    marks = [*form.tags, form.answer_opening, answered, form.completion("so", "").removesuffix(form.empty_answer)]
    pieces = list(dict.fromkeys([*_words(tree), *_COMMON, *marks]))
    made = [_input(f"{count} x {piece!r}", (f"{piece} " * count).strip()) for piece in pieces for count in (1, 2, 3)]
    draw = random.Random(seed or 0)
    for turn in range(_MIXTURES):
        chosen = [
            draw.choice(pieces) if draw.random() < 0.7 else str(draw.randint(0, 10 ** draw.randint(1, 12)))
            for _ in range(draw.randint(1, _LONGEST_MIXTURE))
        ]
        text = draw.choice((" ", " ", "")).join(chosen)
        prompt = " ".join(draw.choice(pieces) for _ in range(draw.randint(0, 6)))
        answer = draw.choice((str(draw.randint(-99, 9999)), draw.choice(pieces), ""))
        sample = Sample(prompt, text, answer)
        if rollouts and turn % 2:
            sample = replace(draw.choice(rollouts).sample, completion=text)
        made.append(HostileInput(f"a mixture ({text[:40]!r})", sample))
    return tuple(made)


def _input(name: str, completion: str) -> HostileInput:
    return HostileInput(name, Sample("Sam has 17 pens and buys 5 more. How many pens has Sam now?", completion, "22"))


def _words(tree: ast.Module) -> list[str]:
    """The words in the code's strings, patterns among them; docstrings do not count."""
    found: dict[str, None] = {}
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
            found.update(dict.fromkeys(_WORD.findall(node.value[:2000])))
    return list(found)[:_MOST_WORDS]
