import numpy as np
import pytest
from scipy import stats

from eval.statistics.correlation import clustered_spearman, spearman


def test_value_is_scipys():
    generator = np.random.default_rng(0)
    x = generator.normal(size=12).round(1)
    y = (x + generator.normal(size=12)).round(1)
    assert spearman(x, y).value == pytest.approx(stats.spearmanr(x, y).statistic)


def test_interval_formula_of_bonett_and_wright():
    x, y = [1, 2, 3, 4, 5, 6, 7, 8], [2, 1, 4, 3, 6, 5, 8, 7]
    found = spearman(x, y)
    r = 1 - 6 * 8 / (8 * 63)
    half = 1.959963984540054 * np.sqrt((1 + r * r / 2) / 5)
    assert found.value == pytest.approx(r)
    assert (found.low, found.high) == pytest.approx((np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half)))


def test_same_order_whatever_the_scale():
    perfect = spearman([1, 2, 3, 4, 5], [1, 10, 100, 1000, 10_000])
    swapped = spearman([1, 2, 3, 4, 5], [1, 10, 100, 10_000, 1000])
    assert (perfect.value, perfect.high) == (1.0, 1.0)
    # A perfect order of few things is weak evidence: its interval has width.
    assert perfect.low == pytest.approx(swapped.low)
    assert spearman([1, 2, 3, 4], [8, 6, 4, 2]).value == -1.0


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 2, 3], [1, 2, 3], "at least 4"),
        ([1, 2, 3, 4], [1, 2, 3], "cannot be compared"),
        ([1] * 5, range(5), "constant"),
    ],
)
def test_what_has_no_correlation_is_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        spearman(x, list(y))


@pytest.mark.parametrize("n", [12, 50])
def test_coverage(n):
    generator = np.random.default_rng(n)
    rho = 0.6
    # Spearman's correlation of a bivariate normal (Pearson 1907).
    true = 6 / np.pi * np.arcsin(rho / 2)
    repeats, covered = 600, 0
    for _ in range(repeats):
        x = generator.normal(size=n)
        y = rho * x + np.sqrt(1 - rho**2) * generator.normal(size=n)
        found = spearman(x, y)
        covered += found.low <= true <= found.high
    assert abs(covered / repeats - 0.95) <= 4 * (0.95 * 0.05 / repeats) ** 0.5 + 0.01


def test_clustered_value_is_scipys():
    generator = np.random.default_rng(0)
    x = generator.normal(size=60).round(1)
    y = (x + generator.normal(size=60)).round(1)
    found = clustered_spearman(x, y, [k // 3 for k in range(60)])
    assert found.value == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.n == 20


def test_clustered_interval_knows_that_copies_say_nothing_new():
    generator = np.random.default_rng(1)
    x = generator.normal(size=30)
    y = x + generator.normal(size=30)
    alone = clustered_spearman(x, y, range(30))
    copies = clustered_spearman(np.repeat(x, 6), np.repeat(y, 6), np.repeat(np.arange(30), 6).tolist())
    assert (copies.low, copies.high) == pytest.approx((alone.low, alone.high), abs=0.01)


def test_clustered_intervals_cover_at_their_level():
    """Binormal with correlation 0.6 between units, of which each group of four shares a part; Pearson's 1907 formula
    gives Spearman's rho from it."""
    generator = np.random.default_rng(2)
    truth = 6 / np.pi * np.arcsin(0.6 / 2)
    cholesky = np.linalg.cholesky([[1, 0.6], [0.6, 1]])
    covered = 0
    for _ in range(300):
        shared, own = generator.normal(size=(30, 1, 2)), generator.normal(size=(30, 4, 2))
        x, y = ((np.sqrt(0.5) * (shared + own)) @ cholesky.T).reshape(-1, 2).T
        found = clustered_spearman(x, y, np.repeat(np.arange(30), 4).tolist())
        covered += found.low <= truth <= found.high
    assert 0.91 <= covered / 300 <= 0.985


def test_clustered_perfect_and_undefined():
    x, groups = list(range(12)), [k // 2 for k in range(12)]
    assert clustered_spearman(x, [-value for value in x], groups).value == -1.0
    assert clustered_spearman(x, [-value for value in x], groups).high == spearman(range(6), range(6, 0, -1)).high
    assert clustered_spearman(x, [1] * 12, groups) is None
    assert clustered_spearman(x, [1] * 11 + [2], groups) is None  # rests on the last group alone
    assert clustered_spearman(x[:6], x[:6], groups[:6]) is None
    assert clustered_spearman([], [], []) is None
