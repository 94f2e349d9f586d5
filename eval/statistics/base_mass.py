"""Base mass Q: the probability that the base policy answers a question rightly, question by question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from eval.statistics.concordance import mean_share
from eval.statistics.estimate import Estimate
from eval.statistics.wilson import wilson_interval


class BaseMass(NamedTuple):
    """What reinforcement learning can reweight: with Q = 0 there is nothing to raise, with Q = 1 nothing to gain."""

    mean: Estimate | None
    """Over questions, with an interval for new questions; None with fewer than two."""
    questions: tuple[Estimate, ...]
    """Of each question over its samples, with Wilson's interval."""
    none_right: Estimate
    """Share of questions without a right sample. Of the questions with Q = 0 it is an upper bound: a small Q often
    shows none in a few samples."""
    all_right: Estimate
    """Share of questions with no wrong sample."""


def base_mass(right: Sequence[int], samples: Sequence[int], level: float = 0.95) -> BaseMass:
    """`right` of so many `samples` of each question, drawn independently from the base policy.

    Raises ValueError with no questions, or a question without samples or with more right ones than samples.
    """
    if len(right) != len(samples) or not samples:
        raise ValueError(f"{len(right)} counts of right answers and {len(samples)} of samples do not belong together")
    questions = tuple(wilson_interval(c, n, level) for c, n in zip(right, samples, strict=True))
    count = len(questions)
    return BaseMass(
        mean_share([question.value for question in questions], level),
        questions,
        wilson_interval(sum(c == 0 for c in right), count, level),
        wilson_interval(sum(c == n for c, n in zip(right, samples, strict=True)), count, level),
    )
