import numpy as np
import pytest
from scipy import stats

from eval.statistics.bootstrap import bootstrap_accuracy, bootstrap_f1, percentile_bounds

ANSWERS = np.array([True] * 37 + [False] * 23)


def f1(values, axis=-1):
    accuracy = np.mean(values, axis=axis)
    return 2 * accuracy / (1 + accuracy)


@pytest.mark.parametrize(("ours", "statistic"), [(bootstrap_accuracy, np.mean), (bootstrap_f1, f1)])
def test_agrees_with_scipy(ours, statistic):
    theirs = stats.bootstrap(
        (ANSWERS.astype(float),), statistic, n_resamples=20_000, method="BCa", random_state=1
    ).confidence_interval
    found = ours(ANSWERS, resamples=20_000, seed=3)
    # Resampled accuracies lie on a grid of 1/60: quantiles of two simulations may differ by one grid step.
    step = 1 / 60 + 1e-9
    assert abs(found.low - theirs.low) <= step
    assert abs(found.high - theirs.high) <= step
    assert found.value == pytest.approx(statistic(ANSWERS))


def test_percentile_bounds_are_binomial_quantiles():
    """The number right in a resample is Binomial(n, k/n), so its quantiles are known without drawing."""
    found = percentile_bounds(np.random.default_rng(0).binomial(60, 37 / 60, size=200_000) / 60, 0.95)
    exact = stats.binom.ppf([0.025, 0.975], 60, 37 / 60) / 60
    assert found == pytest.approx(tuple(exact))


@pytest.mark.parametrize("right", [0, 30])
def test_without_spread_the_wilson_interval_is_given_and_named(right):
    found = bootstrap_f1([True] * right + [False] * (30 - right))
    assert found.method == "Wilson"
    assert found.high - found.low > 0.05


def test_the_same_seed_gives_the_same_bounds():
    assert bootstrap_f1(ANSWERS, seed=4) == bootstrap_f1(ANSWERS, seed=4)


@pytest.mark.parametrize("bootstrap", [bootstrap_accuracy, bootstrap_f1])
def test_nothing_to_bootstrap_is_refused(bootstrap):
    with pytest.raises(ValueError, match="nothing to bootstrap"):
        bootstrap([])


def test_coverage_over_every_outcome():
    """Exact coverage at n = 100, a = 0.7, from the binomial distribution of the count and one interval per count."""
    covered = 0.0
    for right in range(45, 95):
        found = bootstrap_accuracy([True] * right + [False] * (100 - right), resamples=4000)
        covered += stats.binom.pmf(right, 100, 0.7) * (found.low <= 0.7 <= found.high)
    assert 0.92 <= covered <= 0.97
