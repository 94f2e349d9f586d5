"""Equality of mathematical expressions through math-verify, in a sealed process that can be killed.

math-verify's own time limits are signals: they work in the main thread only and cannot interrupt one long step of
arithmetic; and sympy's `parse_expr`, which it uses for plain expressions, evaluates Python. So it runs where rewards
run: in a sandbox worker that answers one question at a time, and is killed and replaced when it is late.
"""

from __future__ import annotations

import atexit
import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from rewards_generated.errors import UserError
from rewards_generated.rollout import Sample

if TYPE_CHECKING:
    from rewards_generated.sandbox import RewardWorker

TIME_LIMIT_SECONDS = 3.0
MATH_VERIFY = Path(__file__).with_name("symbolic_reward.py")
"""The module that the worker runs."""


@lru_cache(maxsize=65_536)
def symbolically_equal(answer: str, gold: str) -> bool:
    """Whether math-verify finds two answers (LaTeX, or plain expressions) equal. False where it cannot tell in time.

    A gold that it cannot read is compared letter by letter, without blanks and what only sets type.
    """
    return _ask(Sample("", answer, gold))


@lru_cache(maxsize=65_536)
def readable(gold: str) -> bool:
    """Whether math-verify can read a gold answer."""
    return _ask(Sample("read", "", gold))


def _ask(sample: Sample) -> bool:
    return worker().score([sample])[0].value == 1.0


@lru_cache(maxsize=1)
def worker() -> RewardWorker:
    """The worker of this process, started at the first question. Raises UserError where math-verify is missing.

    What it is sent is data, so it runs with whatever seal the machine offers.
    """
    from rewards_generated.sandbox import RewardWorker, SandboxSettings

    settings = SandboxSettings(
        mode="fast",
        require="basic",
        allow_weak=True,
        batch_seconds=TIME_LIMIT_SECONDS,
        retry_factor=0.0,
        recycle_calls=100_000,
        replay_share=0.0,
        lost_seconds=math.inf,
        memory_mib=2048,
    )
    made = RewardWorker(MATH_VERIFY.read_text(encoding="utf-8"), settings, name="math-verify")
    if problem := made.load():
        raise UserError(f"mathematics cannot be compared: {problem}; is math-verify installed?")
    atexit.register(made.close)
    return made
