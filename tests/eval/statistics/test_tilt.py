"""The gain curve of an exponentially tilted policy, against small cases worked out by other means."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import betabinom

from eval.statistics.tilt import (
    MassPrior,
    accuracy_at_mass,
    expected_over_mass,
    expected_tilted,
    first_gain,
    fit_mass_prior,
    fitted_tilt,
    mass_features,
    proportional_error,
    tilted,
)


@pytest.mark.parametrize("beta", [0.2, 0.5, 1.0, 4.0])
def test_the_curve_is_the_reweighted_policy(beta):
    """Of a policy over four answers, two of them right, reweighted answer by answer."""
    policy, right = np.array([0.1, 0.25, 0.6, 0.05]), np.array([1, 0, 0, 1])
    weights = policy * np.exp(right / beta)
    expected = (weights / weights.sum())[right == 1].sum()
    assert tilted(policy[right == 1].sum(), 1 / beta) == pytest.approx(expected)


def test_the_reweighted_policy_maximises_reward_minus_kl():
    """No other split of the mass between right and wrong answers does better."""
    q, beta = 0.3, 0.5
    p = np.linspace(0.001, 0.999, 9_999)
    value = p - beta * (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))
    assert p[value.argmax()] == pytest.approx(tilted(q, 1 / beta), abs=2e-4)


def test_it_adds_to_the_log_odds_and_moves_neither_end():
    q = np.array([0.01, 0.2, 0.5, 0.97])
    assert logit(tilted(q, 1.7)) == pytest.approx(logit(q) + 1.7)
    assert tilted(np.array([0.0, 1.0]), 5.0).tolist() == [0.0, 1.0]
    assert tilted(np.array([0.0, 0.5, 1.0]), 2000.0).tolist() == [0.0, 1.0, 1.0]
    assert tilted(0.4, 0.0) == pytest.approx(0.4)


def test_a_known_distribution_of_base_mass_is_recovered():
    right = betabinom.rvs(16, 0.8, 2.4, size=20_000, random_state=1)
    prior = fit_mass_prior(right, 16)
    assert prior.a == pytest.approx(0.8, rel=0.06)
    assert prior.b == pytest.approx(2.4, rel=0.06)


@pytest.mark.parametrize("right", [[0, 0, 0], [8, 8, 8], [4, 4, 4]])
def test_a_distribution_without_spread_is_still_one(right):
    prior = fit_mass_prior(right, 8)
    assert prior.a > 0
    assert prior.b > 0


@pytest.mark.parametrize(("right", "samples"), [([1], 4), ([1, 5], 4), ([0, -1], 4), ([0, 1], 1)])
def test_counts_that_cannot_be_are_refused(right, samples):
    with pytest.raises(ValueError, match="base mass needs"):
        fit_mass_prior(right, samples)


def test_the_expectation_is_that_of_the_posterior():
    prior = MassPrior(1.5, 2.0)
    found = expected_over_mass(lambda mass: mass, [0, 3, 8], 8, prior)
    assert found == pytest.approx([(1.5 + c) / (3.5 + 8) for c in (0, 3, 8)], abs=2e-3)


def test_the_tilt_of_a_simulated_training_is_found_from_few_samples():
    """Questions of unknown mass, eight samples before and after; plugging in shares would find less than half of it."""
    generator = np.random.default_rng(0)
    mass = generator.beta(0.6, 1.2, 4_000)
    before = generator.binomial(8, mass)
    after = generator.binomial(8, expit(logit(mass) + 2.0)).mean() / 8
    prior = fit_mass_prior(before, 8)
    assert fitted_tilt(before, 8, prior, after) == pytest.approx(2.0, abs=0.12)
    assert expected_tilted(before, 8, prior, 2.0).mean() == pytest.approx(after, abs=0.01)


@pytest.mark.parametrize("after", [0.0, 1.0])
def test_no_tilt_reaches_the_ends(after):
    assert fitted_tilt([1, 3], 4, MassPrior(1, 1), after) is None


@pytest.mark.parametrize("scaled", [False, True])
def test_the_first_gain_is_that_of_a_small_reweighting_by_the_advantage(scaled):
    step = 1e-6
    for q in (0.1, 0.4, 0.9):
        policy, reward = np.array([q, 1 - q]), np.array([1.0, 0.0])
        advantage = (reward - q) / (np.sqrt(q * (1 - q)) if scaled else 1.0)
        weights = policy * np.exp(step * advantage)
        assert (weights[0] / weights.sum() - q) / step == pytest.approx(first_gain(q, scaled), rel=1e-4)


def test_the_error_is_that_of_least_squares():
    generator = np.random.default_rng(2)
    shape, gain = generator.random(50), generator.random(50)
    factor, *_ = np.linalg.lstsq(shape[:, None], gain, rcond=None)
    assert proportional_error(shape, gain) == pytest.approx(((gain - factor * shape) ** 2).mean())
    assert proportional_error(np.zeros(3), np.ones(3)) == 1.0


def simulated(generator, count, a, b, after):
    """Features of the samples of questions from one population, and their accuracies after training."""
    mass = generator.beta(a, b, count)
    before = generator.binomial(32, mass)
    return mass_features(before, 32, fit_mass_prior(before, 32)), generator.binomial(8, after(mass)) / 8


@pytest.mark.parametrize("after", [lambda q: tilted(q, 2.2), lambda q: q + 0.5 * q * (1 - q), lambda q: 0.9 * q])
def test_accuracy_is_carried_over_to_another_population_of_base_masses(after):
    """Mean Q 0.2 and 0.42, one and the same gain curve; comparing questions of equal counts is off by 0.02 to 0.04."""
    generator = np.random.default_rng(5)
    asked, truth = simulated(generator, 6_000, 0.5, 2.0, after)
    known, accuracy = simulated(generator, 6_000, 1.0, 1.4, after)
    assert accuracy_at_mass(known, accuracy, asked) == pytest.approx(truth.mean(), abs=0.012)


def test_accuracy_at_the_masses_that_are_known_is_their_own():
    known, accuracy = simulated(np.random.default_rng(6), 300, 1.0, 1.4, lambda q: tilted(q, 1.0))
    assert accuracy_at_mass(known, accuracy, known) == pytest.approx(accuracy.mean(), abs=5e-3)
