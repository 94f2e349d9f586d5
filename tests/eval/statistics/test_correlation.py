import numpy as np
import pytest
from scipy import stats

from eval.statistics.concordance import clustered_spearman


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
    assert clustered_spearman(x, [1] * 12, groups) is None
    assert clustered_spearman(x, [1] * 11 + [2], groups) is None  # rests on the last group alone
    assert clustered_spearman(x[:6], x[:6], groups[:6]) is None
    assert clustered_spearman([], [], []) is None
