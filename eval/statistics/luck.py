"""The two sources of chance in a figure of a trained policy: which questions were asked, and which seeds trained.

Runs of one recipe (the same reward, steps and data, other seeds) answer the same questions: a two-way layout of runs
and questions. The variance between seeds is a property of training more than of one reward, so it is pooled over all
recipes that were run more than once, and then holds for those that were run once as well. Without any repeated recipe
it is unknown, and an interval covers the questions alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.statistics.estimate import Estimate, Interval, require_level
from eval.statistics.seeds import mean_squares

Floats = NDArray[np.float64]
METHOD = "questions and seeds, variance between seeds pooled"


class SeedVariance(NamedTuple):
    """How runs of one recipe differ, pooled over the recipes that were run more than once."""

    variance: float
    """Between seeds, of the true accuracies of the trained policies; 0 where the runs differ by no more than chance in
    single answers explains."""
    of_runs: float
    """Of measured accuracies on the same `questions`: the variance between seeds and what single answers add to it."""
    rest: float
    """Of a single answer, beside what its question and its run explain."""
    freedom: int
    """Degrees of freedom of `of_runs`: the runs less the recipes."""
    recipes: int
    """Run more than once."""
    runs: int
    """Of these recipes."""

    @property
    def deviation(self) -> float:
        """Between seeds, in accuracy."""
        return float(self.variance**0.5)


def pooled_seed_variance(tables: Sequence[ArrayLike]) -> SeedVariance | None:
    """`tables`: one per recipe, shape (seeds, questions), of answers that are right (1) or not (0).

    Of recipe i with mean squares of seeds and of the rest, the variance between seeds is (MS_seed - MS_rest) / N_i
    (Searle, Casella and McCulloch 1992, Variance Components, ch. 4); pooled with weights S_i - 1, since recipes are
    taken to share it. None where no recipe has two runs.
    """
    repeated = [np.asarray(table, dtype=np.float64) for table in tables]
    repeated = [table for table in repeated if table.ndim == 2 and min(table.shape) >= 2]
    if not repeated:
        return None
    freedom = sum(len(table) - 1 for table in repeated)
    between = of_runs = rest = 0.0
    for table in repeated:
        seeds, questions = table.shape
        squares = mean_squares(table)
        share = (seeds - 1) / freedom
        between += share * (squares.seed - squares.rest) / questions
        of_runs += share * squares.seed / questions
        rest += share * squares.rest
    return SeedVariance(max(0.0, between), of_runs, rest, freedom, len(repeated), sum(map(len, repeated)))


def pooled_with(found: Sequence[SeedVariance]) -> SeedVariance | None:
    """Variances that were estimated apart, of runs that are taken to differ alike, weighted by degrees of freedom.

    None of none. Where the runs answered different numbers of questions, `of_runs` is that of their mixture.
    """
    if len(found) < 2:
        return found[0] if found else None
    freedom = sum(item.freedom for item in found)
    variance, of_runs, rest = (
        sum(item.freedom * getattr(item, name) for item in found) / freedom for name in ("variance", "of_runs", "rest")
    )
    recipes, runs = sum(item.recipes for item in found), sum(item.runs for item in found)
    return SeedVariance(variance, of_runs, rest, freedom, recipes, runs)


class Halves(NamedTuple):
    """Half widths of the two intervals that an interval for both is made of."""

    questions: float
    seeds: float


class DifferenceForBoth(NamedTuple):
    estimate: Estimate
    halves: Halves
    p_value: float
    """Two-sided, of no difference: one minus the level of the interval that ends at 0."""


def mean_for_both(table: ArrayLike, luck: SeedVariance, level: float = 0.95) -> tuple[Estimate, Halves]:
    """Mean of the answers of one recipe, shape (seeds >= 1, questions >= 2), for new seeds and new questions.

    The variance is that of the questions over N, without what single answers add to it (pooled too, so that a single
    run can be told apart), plus that of runs over S. The interval is the wider of two, as in
    `eval.statistics.seeds.seed_question_mean`: Student's t with Satterthwaite's degrees of freedom, and the root of
    the summed squares of both halves (Howe 1974, JASA 69:789-794). Not cut off at 0 or 1. Raises ValueError with
    fewer than two questions.
    """
    require_level(level)
    answers = np.asarray(table, dtype=np.float64)
    if answers.ndim != 2 or answers.shape[1] < 2:
        raise ValueError(f"runs and questions need a shape (S >= 1, N >= 2), not {answers.shape}")
    seeds, questions = answers.shape
    value = float(answers.mean())
    of_questions = max(0.0, _variance_of_mean(answers.mean(axis=0)) - luck.rest / answers.size)
    if value in (0.0, 1.0):
        # All alike: half a question of the other kind, which may still turn up.
        of_questions = 0.5 / (questions * (questions + 1))
    chance = _Chance(of_questions, luck.of_runs / seeds, luck.freedom, questions)
    return chance.interval(value, level), chance.halves(1 - level)


def difference_for_both(
    first: ArrayLike, second: ArrayLike, luck: SeedVariance, level: float = 0.95
) -> DifferenceForBoth:
    """Mean of `first`, shape (S, N), minus that of `second`, shape (T, N), on the same questions, for new seeds of
    both and new questions: the pooled variance counts 1/S + 1/T times."""
    require_level(level)
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or a.shape[1] < 2:
        raise ValueError(f"both need runs on the same questions, not {a.shape} and {b.shape}")
    differences = a.mean(axis=0) - b.mean(axis=0)
    runs = 1 / len(a) + 1 / len(b)
    of_questions = max(0.0, _variance_of_mean(differences) - luck.rest * runs / a.shape[1])
    chance = _Chance(of_questions, luck.of_runs * runs, luck.freedom, a.shape[1])
    value = float(differences.mean())
    return DifferenceForBoth(chance.interval(value, level), chance.halves(1 - level), chance.p_value(value))


def _variance_of_mean(values: Floats) -> float:
    return float(values.var(ddof=1)) / values.size


class _Chance(NamedTuple):
    """Of a mean or a difference: its variance over questions and over runs."""

    of_questions: float
    of_seeds: float
    freedom: int
    """Degrees of freedom of `of_seeds`."""
    questions: int

    def interval(self, value: float, level: float) -> Estimate:
        half = self.half(1 - level)
        return Estimate(value, value - half, value + half, self.questions, level, METHOD)

    def halves(self, alpha: float) -> Halves:
        return Halves(
            _half(self.of_questions, self.questions - 1, alpha),
            _half(self.of_seeds, self.freedom, alpha),
        )

    def half(self, alpha: float) -> float:
        questions, seeds = self.halves(alpha)
        apart = hypot(questions, seeds)
        variance = self.of_questions + self.of_seeds
        if variance == 0:
            return apart
        shared = variance**2 / (self.of_questions**2 / (self.questions - 1) + self.of_seeds**2 / self.freedom)
        return max(apart, _half(variance, shared, alpha))

    def p_value(self, value: float) -> float:
        from scipy.optimize import brentq

        if self.of_questions + self.of_seeds == 0:
            return 1.0 if value == 0 else 0.0
        if self.half(_SMALLEST_P) <= abs(value):
            return _SMALLEST_P
        if self.half(_LARGEST_P) >= abs(value):
            return 1.0
        return float(brentq(lambda alpha: self.half(alpha) - abs(value), _SMALLEST_P, _LARGEST_P, xtol=1e-14))


_SMALLEST_P, _LARGEST_P = 1e-12, 1 - 1e-9


def _half(variance: float, freedom: float, alpha: float) -> float:
    """Of Student's t interval; in the tail of `alpha`, which is exact where 1 - alpha is not."""
    from scipy.special import stdtrit

    return float(-stdtrit(max(freedom, 1.0), alpha / 2)) * sqrt(variance)


def detectable_for_both(
    questions: int,
    runs: tuple[int, int],
    freedom: int,
    deviation: float,
    discordant: float,
    power: float = 0.8,
    alpha: float = 0.05,
) -> float:
    """Smallest true difference in accuracy that a two-sided test for new seeds and questions shows with this power.

    `runs` of both recipes on the same `questions`; `deviation` between seeds, in accuracy, estimated with so many
    degrees of `freedom`; `discordant`: share of questions that two trained policies answer differently. Student's t
    with the non-central distribution of Cohen (1988, Statistical Power Analysis, ch. 2) and Satterthwaite's degrees of
    freedom.
    Raises ValueError without questions, runs or degrees of freedom.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    if min(questions - 1, *runs, freedom) < 1:
        raise ValueError("a detectable difference needs two questions, one run of each and one degree of freedom")
    of_questions, of_seeds = discordant / questions, deviation**2 * (1 / runs[0] + 1 / runs[1])
    variance = of_questions + of_seeds
    shared = variance**2 / (of_questions**2 / (questions - 1) + of_seeds**2 / freedom)
    critical = t.ppf(1 - alpha / 2, shared)
    ratio = brentq(lambda ratio: nct.sf(critical, shared, ratio) - power, 0.0, 10 * critical)
    return float(ratio * variance**0.5)


def interval_of_deviation(luck: SeedVariance, level: float = 0.95) -> Interval:
    """Of the standard deviation between seeds: chi-square bounds of the variance of runs, less what single answers
    add."""
    from scipy.stats import chi2

    bounds = luck.of_runs * luck.freedom / chi2.ppf([(1 + level) / 2, (1 - level) / 2], luck.freedom)
    low, high = np.sqrt(np.maximum(0.0, bounds - (luck.of_runs - luck.variance)))
    return Interval(float(low), float(high))
