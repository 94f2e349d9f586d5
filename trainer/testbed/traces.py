"""Reasoning traces for fine-tuning: right, complete, well-formed solutions, with and without reflection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from eval.tasks.testbed.draws import Draws
from eval.tasks.testbed.problem import ProblemOptions
from eval.tasks.testbed.task import problems
from trainer.testbed.behaviours import CLEAN, Habits, write_response
from trainer.testbed.corpus import Pair, pair

REFLECTING: Habits = replace(CLEAN, checks=1, slip=0.93, unclosed_when_checking=0)
"""Every equation is followed by a check. Where there is a carry the equation mostly forgets it, as the base policy
does, and the check mends it; the solution is right in the end."""


def traces(options: ProblemOptions, count: int, reflecting: float, seed: int) -> Iterator[Pair]:
    """Solutions of the first `count` problems of the task's train split, in its order.

    `reflecting`: share of the solutions that check every equation; the others go straight through (`CLEAN`). `seed`
    decides which, and the wording.
    """
    for number, problem in enumerate(islice(problems("train", options), count)):
        draws = Draws(f"testbed/traces/{seed}/{number}")
        habits = REFLECTING if draws.chance(reflecting) else CLEAN
        yield pair(problem.question, write_response(problem, draws, habits))
