"""Whether a program passes tests, found out in the sandbox; no program ever runs in this process.

A gold answer is Python text whose `assert` lines are the tests: `assert EXPRESSION == LITERAL`, or `assert EXPRESSION`;
what stands beside them is a solution. The sandbox is told the expressions alone and gives back one number made of all
their values, which is compared here with that of the literals: a program that tampers with its own process still has
to compute the right values.
"""

from __future__ import annotations

import ast
import atexit
import json
import math
import os
import queue
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from rewards_generated.answers import program_reward
from rewards_generated.answers.reader import AnswerReader
from rewards_generated.rollout import Sample
from rewards_generated.sandbox import RewardWorker, SandboxSettings

TIME_LIMIT_SECONDS = 3.0
"""Wall-clock, of one program with all its tests."""
MEMORY_MIB = 512
_KEPT = 65_536
"""Verdicts that are remembered."""

_verdicts: dict[tuple[str, str], bool] = {}


class ProgramTests(NamedTuple):
    expressions: str
    """A JSON list of texts."""
    expected: float
    """What a right program gives back."""


@lru_cache(maxsize=_KEPT)
def read_tests(gold: str) -> ProgramTests:
    """The tests of a gold answer. Raises ValueError saying what is wrong with them; nothing of it is run."""
    try:
        tests = [node for node in ast.parse(gold).body if isinstance(node, ast.Assert)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError("the gold answer is not Python text") from None
    if not tests:
        raise ValueError("the gold answer has no line `assert EXPRESSION == LITERAL`, which a program is tested by")
    pairs = [_expression(node.test) for node in tests]
    return ProgramTests(
        json.dumps([text for text, _ in pairs]), program_reward.fingerprint([value for _, value in pairs])
    )


def _expression(test: ast.expr) -> tuple[str, object]:
    """What is asked of a program, and the value that it should have."""
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
        try:
            value = ast.literal_eval(test.comparators[0])
            program_reward.fingerprint([value])
        except (ValueError, TypeError):
            raise ValueError(
                f"the test `assert {ast.unparse(test)[:80]}` compares with no literal: write its value out"
            ) from None
        return ast.unparse(test.left), value
    return f"bool({ast.unparse(test)})", True


def passes(program: str, gold: str) -> bool:
    """Whether the program gives every test of the gold answer its value, within `TIME_LIMIT_SECONDS`; False for a gold
    without tests. Raises SandboxUnavailable where the machine's sandbox is too weak for programs."""
    verdict = _verdicts.get((program, gold))
    if verdict is None:
        verdict = _verdicts[program, gold] = _passes(program, gold)
    return verdict


def judge_ahead(reader: AnswerReader, completions: Iterable[str], golds: Iterable[str]) -> None:
    """Where answers are programs, runs those of all completions side by side: to be judged one by one they then take no
    time."""
    if getattr(reader, "answer_kind", None) != "program":
        return
    found = [(reader.extract(completion), gold) for completion, gold in zip(completions, golds, strict=True)]
    pairs = {(text, gold) for read, gold in found for text in (read.strict, read.flexible) if text is not None}
    if len(_verdicts) > _KEPT:
        _verdicts.clear()
    with ThreadPoolExecutor(_workers_at_once()) as pool:
        list(pool.map(lambda pair: passes(*pair), sorted(pairs - _verdicts.keys())))


def _passes(program: str, gold: str) -> bool:
    try:
        tests = read_tests(gold)
    except ValueError:
        return False
    idle = _idle_workers(os.getpid())
    try:
        worker = idle.get_nowait()
    except queue.Empty:
        worker = _new_worker()
    try:
        worker.start()  # raises where no process can be had: that says nothing of the program
        # Every call is a fork of its own, so that no program meets what another left behind.
        return worker.score([Sample(tests.expressions, unfenced(program), "")])[0].value == tests.expected
    finally:
        idle.put(worker)


def unfenced(program: str) -> str:
    """The program without the fences of a code block around it."""
    lines = program.strip("\n").split("\n")
    if lines[0].strip().startswith("```") and lines[-1].strip() == "```":
        lines = lines[1:-1]
    return "\n".join(lines)


def _workers_at_once() -> int:
    """As many as there are cores: more would only wait for each other, which counts against none of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=1)
def _idle_workers(process: int) -> queue.SimpleQueue[RewardWorker]:
    """Those of this process; a fork gets none of its parent's."""
    return queue.SimpleQueue()


def _new_worker() -> RewardWorker:
    # A program says nothing of the next one: neither time lost nor a value that differs ends the worker.
    settings = SandboxSettings(
        batch_seconds=TIME_LIMIT_SECONDS,
        retry_factor=0.0,
        memory_mib=MEMORY_MIB,
        replay_share=0.0,
        lost_seconds=math.inf,
    )
    made = RewardWorker(Path(program_reward.__file__).read_text(encoding="utf-8"), settings, name="program")
    atexit.register(made.close)
    return made
