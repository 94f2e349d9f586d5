import numpy as np
import pytest
from scipy import stats

from eval.statistics.paired import discordance, paired_difference, score_bounds, score_statistic


def test_published_interval():
    """Bentur et al. 2009 in Fagerland, Lydersen and Laake 2014, Stat. Med. 33:2850-2875: n = 21, b = 1, c = 7,
    Tango's asymptotic score interval -0.517 to -0.026."""
    low, high = score_bounds(1, 7, 21)
    assert (round(float(low), 3), round(float(high), 3)) == (-0.517, -0.026)


def test_statistic_maximises_the_likelihood_numerically():
    """The restricted estimate behind Tango's z, found again by brute force over the nuisance probability."""
    b, c, n, delta = 9, 14, 60, 0.05
    q = np.linspace(1e-6, (1 - delta) / 2 - 1e-6, 400_001)
    likelihood = b * np.log(q + delta) + c * np.log(q) + (n - b - c) * np.log(1 - 2 * q - delta)
    best = q[np.argmax(likelihood)]
    z = ((b - c) / n - delta) / np.sqrt((2 * best + delta - delta**2) / n)
    assert float(score_statistic(b, c, n, delta)) == pytest.approx(z, abs=1e-4)


def test_statistic_at_no_difference_is_uncorrected_mcnemar():
    assert float(score_statistic(18, 7, 200, 0.0)) ** 2 == pytest.approx((18 - 7) ** 2 / 25)


@pytest.mark.parametrize(("b", "c", "n"), [(12, 3, 50), (30, 30, 100), (0, 5, 40), (140, 90, 1319)])
def test_bounds_solve_the_equation(b, c, n):
    z = stats.norm.ppf(0.975)
    low, high = score_bounds(b, c, n)
    assert float(score_statistic(b, c, n, low)) == pytest.approx(z, abs=1e-6)
    assert float(score_statistic(b, c, n, high)) == pytest.approx(-z, abs=1e-6)


def test_swapping_the_two_mirrors_the_interval():
    first = np.array([1, 1, 0, 1, 0, 1, 1, 0], dtype=bool)
    second = np.array([1, 0, 0, 1, 1, 0, 0, 0], dtype=bool)
    there, back = paired_difference(first, second), paired_difference(second, first)
    assert (there.low, there.value, there.high) == pytest.approx((-back.high, -back.value, -back.low))


def test_identical_answers_have_width_and_hold_zero():
    found = paired_difference([True] * 30, [True] * 30)
    assert found.low < 0 == found.value < found.high


def test_discordance_counts_by_hand():
    assert discordance([1, 1, 0, 0, 1], [1, 0, 1, 0, 0]) == (2, 1, 5)


@pytest.mark.parametrize(("first", "second"), [([], []), ([True], [True, False]), ([[True]], [[True]])])
def test_unmatched_answers_are_refused(first, second):
    with pytest.raises(ValueError, match="paired answers"):
        discordance(first, second)


def correlated_pairs(generator, repeats, n, first, second, agreement):
    """Answers of two policies: with chance `agreement` a question is easy or hard for both alike."""
    shared = generator.random((repeats, n))
    together = generator.random((repeats, n)) < agreement
    other = np.where(together, shared, generator.random((repeats, n)))
    return (shared < first), (other < second)


@pytest.mark.parametrize(("n", "repeats"), [(100, 3000), pytest.param(1319, 20_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("first", "second"), [(0.6, 0.6), (0.75, 0.65)])
def test_coverage_with_correlated_pairs(n, repeats, first, second):
    generator = np.random.default_rng(n)
    covered = 0
    for _ in range(repeats // 1000):
        a, b = correlated_pairs(generator, 1000, n, first, second, 0.6)
        low, high = score_bounds((a & ~b).sum(axis=1), (b & ~a).sum(axis=1), n)
        covered += int(((low <= first - second) & (first - second <= high)).sum())
    error = 4 * (0.95 * 0.05 / repeats) ** 0.5
    assert abs(covered / repeats - 0.95) < error + 0.005
