"""Which of several entries is truly the best, as a probability."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.statistics.bootstrap import RESAMPLES
from eval.statistics.luck import SeedVariance, pooled_seed_variance
from eval.statistics.runs import RunTable, run_table

Floats = NDArray[np.float64]

SPREAD = 0.1
"""Scale of the half-Cauchy prior on the standard deviation of the true accuracies: half the mass lies below it."""
_GRID = 200


def probability_best(
    correct: Mapping[str, ArrayLike], luck: SeedVariance | None = None, draws: int = RESAMPLES, seed: int = 0
) -> dict[str, float]:
    """By entry the posterior probability that its true accuracy is the highest; they add up to 1.

    `correct` per entry of shape (N,) or (seeds, N), the same questions in one order. A normal hierarchical model of
    the accuracies (Gelman et al. 2013, Bayesian Data Analysis, 3rd ed., section 5.4): true accuracies come from one
    normal distribution with flat mean and half-Cauchy standard deviation (Gelman 2006, Bayesian Anal. 1:515-534), the
    measured ones deviate with the covariance over the shared questions (correlations shrunk to their mean, as far as
    their own uncertainty asks: Schäfer and Strimmer 2005, Stat. Appl. Genet. Mol. Biol. 4:32) and, where there are
    several seeds, the variance between seeds, pooled over entries. Its shrinkage is what makes the figure a
    probability: the share of bootstrap resamples in which an entry leads overstates the leader, which is ahead by
    luck as well.

    `luck`: how runs of one recipe differ, pooled over more than these entries; its uncertainty widens it as that of
    Student's t. Without it and with a single seed of any entry the trained policies are taken as given. Entries count
    as exchangeable before the data: nothing is assumed of controls or of sizes. Raises ValueError as `run_table`
    does.
    """
    table = run_table(correct)
    measured, covariance = table.accuracy, _error_covariance(table, luck)
    count = len(measured)
    generator = np.random.default_rng(seed)
    # Points of equal prior mass, so that the likelihood alone weighs them.
    spreads = SPREAD * np.tan(np.pi / 2 * (np.arange(_GRID) + 0.5) / _GRID)
    likelihood = np.array([_log_likelihood(measured, covariance, spread) for spread in spreads])
    weight = np.exp(likelihood - likelihood.max())
    chosen = generator.multinomial(draws, weight / weight.sum())
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    leads = np.zeros(count)
    for spread, number in zip(spreads, chosen, strict=True):
        if number:
            truth = _posterior(measured, covariance, root, float(spread), int(number), generator)
            leads += np.bincount(truth.argmax(axis=1), minlength=count)
    return dict(zip(table.names, (leads / draws).tolist(), strict=True))


def shrunken_means(measured: ArrayLike, variances: ArrayLike) -> Floats:
    """Expected true means given all measured ones, shape (K,), each with its own error variance: the fewer runs stand
    behind a figure, the nearer it comes to the mean of all.

    The same hierarchical model as in `probability_best`, errors independent, the spread of the true means integrated
    out over its posterior (Gelman et al. 2013, eq. 5.17 and 5.20-5.21). Raises ValueError unless every variance is
    positive.
    """
    values, errors = np.asarray(measured, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    if values.shape != errors.shape or values.ndim != 1 or not (errors > 0).all():
        raise ValueError(f"every mean needs a variance above 0, not {values.shape} and {errors.tolist()}")
    if len(values) == 1:
        return values
    spreads = SPREAD * np.tan(np.pi / 2 * (np.arange(_GRID) + 0.5) / _GRID)
    precisions = 1 / (errors + spreads[:, None] ** 2)
    centre = (precisions @ values) / precisions.sum(axis=1)
    likelihood = np.log(precisions).sum(axis=1) - np.log(precisions.sum(axis=1))
    likelihood -= (precisions * (values - centre[:, None]) ** 2).sum(axis=1)
    weight = np.exp((likelihood - likelihood.max()) / 2)
    kept = spreads[:, None] ** 2 * precisions
    expected = centre[:, None] + kept * (values - centre[:, None])
    shrunken: Floats = weight @ expected / weight.sum()
    return shrunken


def _error_covariance(table: RunTable, luck: SeedVariance | None) -> Floats:
    """Of the measured accuracies around the true ones, shape (K, K)."""
    n = table.correct.shape[1]
    per_question = table.by_entry(table.correct.T)
    covariance = _shrunk_covariance(per_question) / n
    # Runs that answer alike leave no variance, which is not certainty: half a discordant question more of each.
    covariance[np.diag_indices_from(covariance)] += 0.5 / (n * (n + 1))
    if luck is not None:
        # The variance of Student's t with so many degrees of freedom; with one or two it has none: three stand for it.
        wider = luck.freedom / (luck.freedom - 2) if luck.freedom > 2 else 3.0
        covariance[np.diag_indices_from(covariance)] += wider * luck.variance / table.seeds
    elif table.seeds.min() > 1:
        pooled = pooled_seed_variance([table.correct[table.owner == k] for k in range(len(table.names))])
        assert pooled is not None
        covariance[np.diag_indices_from(covariance)] += pooled.variance / table.seeds
    return np.asarray(covariance, dtype=np.float64)


def _shrunk_covariance(values: Floats) -> Floats:
    """Of `values`, shape (N, K): own variances, correlations moved towards their mean.

    With many entries and few questions the covariance as counted is so unsure that its inverse is mostly noise.
    """
    n, count = values.shape
    centred = values - values.mean(axis=0)
    counted = centred.T @ centred / (n - 1)
    scale = np.sqrt(np.outer(np.diag(counted), np.diag(counted)))
    other = ~np.eye(count, dtype=bool) & (scale > 0)
    if not other.any():
        return np.asarray(counted, dtype=np.float64)
    target = np.where(other, (counted[other] / scale[other]).mean() * scale, counted)
    squares = centred**2
    uncertainty = n / (n - 1) ** 3 * (squares.T @ squares - n * (counted * (n - 1) / n) ** 2)
    distance = float(((counted - target)[other] ** 2).sum())
    share = min(1.0, float(uncertainty[other].sum()) / distance) if distance > 0 else 1.0
    return np.asarray(share * target + (1 - share) * counted, dtype=np.float64)


def _log_likelihood(measured: Floats, covariance: Floats, spread: float) -> float:
    """Of the spread of the true accuracies, their mean integrated out (eq. 5.21 there)."""
    total = covariance + spread**2 * np.eye(len(measured))
    _, size = np.linalg.slogdet(total)
    solved = np.linalg.solve(total, np.stack([measured, np.ones_like(measured)], axis=1))
    precision = solved[:, 1].sum()
    deviation = measured @ solved[:, 0] - solved[:, 0].sum() ** 2 / precision
    return float(-0.5 * (size + np.log(precision) + deviation))


def _posterior(
    measured: Floats, covariance: Floats, root: Floats, spread: float, number: int, generator: np.random.Generator
) -> Floats:
    """True accuracies given the spread, shape (number, K): a draw from the prior, moved by what it fails to explain."""
    count = len(measured)
    inverse = np.linalg.inv(covariance + spread**2 * np.eye(count))
    precision = inverse.sum()
    mean = measured @ inverse.sum(axis=1) / precision + generator.standard_normal((number, 1)) / precision**0.5
    prior = mean + spread * generator.standard_normal((number, count))
    errors = generator.standard_normal((number, count)) @ root.T
    moved: Floats = prior + spread**2 * (measured - prior - errors) @ inverse
    return moved
