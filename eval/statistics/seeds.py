"""Training seeds as a source of variance beside the questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.statistics.estimate import Estimate, Interval, half_t, require_level, wilson_interval

Floats = NDArray[np.float64]
METHOD = "two-way random effects"


class SeedSummary(NamedTuple):
    n: int
    mean: float
    std: float | None
    """Between seeds, with n - 1; None for a single seed."""
    interval: Interval | None
    """Student's t over seeds, the questions taken as given; None for a single seed."""


def summarise_seeds(values: Sequence[float], level: float = 0.95) -> SeedSummary:
    """Mean of one figure over training seeds. Raises ValueError for no values."""
    require_level(level)
    data = np.asarray(values, dtype=np.float64)
    if data.size == 0:
        raise ValueError("there are no seeds to summarise")
    mean = float(data.mean())
    if data.size == 1:
        return SeedSummary(1, mean, None, None)
    std = float(data.std(ddof=1))
    half = half_t(std, data.size - 1, level) / data.size**0.5
    return SeedSummary(data.size, mean, std, Interval(mean - half, mean + half))


def question_mean(values: ArrayLike, level: float = 0.95) -> Estimate:
    """Mean of one value per question of a single run, shape (N,), for new questions: Student's t over questions.

    Raises ValueError with fewer than two questions.
    """
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or data.size < 2:
        raise ValueError(f"an interval over questions needs a shape (N >= 2,), not {data.shape}")
    mean, variance = float(data.mean()), float(data.var(ddof=1)) / data.size
    half = half_t(variance**0.5, data.size - 1, level)
    return Estimate(mean, mean - half, mean + half, data.size, level, "Student's t over questions")


def seed_question_mean(scores: ArrayLike, level: float = 0.95) -> Estimate:
    """Mean of `scores`, shape (seeds, questions), for new seeds and new questions alike.

    Two-way random effects without replication: with mean squares of seeds, questions and rest, the variance of the
    mean is (MS_seed + MS_question - MS_rest) / (S N). The interval is the wider of two: Student's t with
    Satterthwaite's degrees of freedom (Satterthwaite 1946, Biometrics Bull. 2:110-114; Brennan 2001, Generalizability
    Theory, ch. 3 and 6), and the root of the sum of the squared t intervals of seeds and questions (Howe 1974, JASA
    69:789-794), since each is too narrow where the other is not. A negative variance component counts as 0. Simulated
    95 % intervals cover 94 to 98 % from three seeds on (94 % where three seeds differ more than questions do), 92 to
    99 % with two; a bootstrap of few seeds covers less.
    Where all scores are alike, 0 or 1, the Wilson interval over questions is given. Raises ValueError with fewer
    than two seeds or questions.
    """
    table = _two_way(scores)
    seeds, questions = table.shape
    squares = mean_squares(table)
    seed_part, question_part = max(squares.seed, squares.rest), max(squares.question, squares.rest)
    variance = (seed_part + question_part - squares.rest) / table.size
    value = float(table.mean())
    if variance == 0:
        if value in (0.0, 1.0):
            return wilson_interval(round(value * questions), questions, level)
        return Estimate(value, value, value, questions, level, METHOD)
    freedom = (seed_part + question_part - squares.rest) ** 2 / (
        seed_part**2 / (seeds - 1)
        + question_part**2 / (questions - 1)
        + squares.rest**2 / ((seeds - 1) * (questions - 1))
    )
    of_seeds = (seed_part - squares.rest) / table.size
    of_questions = variance - of_seeds
    apart = half_t(of_seeds**0.5, seeds - 1, level) ** 2 + half_t(of_questions**0.5, questions - 1, level) ** 2
    half = max(half_t(variance**0.5, freedom, level), apart**0.5)
    return Estimate(value, value - half, value + half, questions, level, METHOD)


class SeedDifference(NamedTuple):
    estimate: Estimate
    p_value: float
    """Two-sided, of no difference."""


def seed_question_difference(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> SeedDifference:
    """Mean of `first`, shape (S, N), minus that of `second`, shape (T, N): same questions, seeds of their own.

    Variance of the two sets of seed means plus that of the per-question differences, less the rest that both
    count; Satterthwaite's degrees of freedom from the mean squares, not from what is left of them: a difference of two
    mean squares is less certain than its size. Simulated 95 % intervals cover 94 to 99 %, the more the less seeds
    differ. For runs that share their seeds pass `first - second` to
    `seed_question_mean` instead. Raises ValueError with fewer than two seeds or questions.
    """
    from scipy.special import stdtr

    a, b = _two_way(first), _two_way(second)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"both must have answered the same questions, not {a.shape[1]} and {b.shape[1]}")
    questions = a.shape[1]
    per_question = a.mean(axis=0) - b.mean(axis=0)
    variance = of_questions = float(per_question.var(ddof=1)) / questions
    uncertainty = of_questions**2 / (questions - 1)
    for table in (a, b):
        squares, seeds = mean_squares(table), len(table)
        seed_part, rest = max(squares.seed, squares.rest) / table.size, squares.rest / table.size
        variance += seed_part - rest
        uncertainty += seed_part**2 / (seeds - 1) + rest**2 / ((seeds - 1) * (questions - 1))
    value = float(per_question.mean())
    if variance == 0:
        certain = Estimate(value, value, value, questions, level, METHOD)
        return SeedDifference(certain, 1.0 if value == 0 else 0.0)
    freedom = max(variance**2 / uncertainty, 1.0)
    half = half_t(variance**0.5, freedom, level)
    p_value = 2 * float(stdtr(freedom, -abs(value) / variance**0.5))
    return SeedDifference(Estimate(value, value - half, value + half, questions, level, METHOD), p_value)


class MeanSquares(NamedTuple):
    seed: float
    question: float
    rest: float


def mean_squares(table: Floats) -> MeanSquares:
    """Of a two-way layout without replication, shape (seeds >= 2, questions >= 2)."""
    seeds, questions = table.shape
    by_seed, by_question = table.mean(axis=1), table.mean(axis=0)
    rest = table - by_seed[:, None] - by_question[None, :] + table.mean()
    return MeanSquares(
        questions * float(by_seed.var(ddof=1)),
        seeds * float(by_question.var(ddof=1)),
        float(np.sum(rest**2)) / ((seeds - 1) * (questions - 1)),
    )


def _two_way(scores: Any) -> Floats:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2:
        raise ValueError(f"seeds and questions need a shape (S >= 2, N >= 2), not {table.shape}")
    return table
