import numpy as np
import pytest
from scipy import stats

from eval.statistics.concordance import average_ranks, correlation


@pytest.mark.parametrize("digits", [0, 1, 8])
def test_ranks_are_scipys(digits):
    values = np.random.default_rng(digits).normal(size=200).round(digits)
    assert average_ranks(values) == pytest.approx(stats.rankdata(values))


def test_correlation_is_numpys():
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    assert correlation(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_what_is_constant_or_overflows_has_no_correlation():
    x = np.arange(5.0)
    assert correlation(x, np.full(5, 0.1)) is None
    assert correlation(np.full(5, 1e9 + 0.1), x) is None
    assert correlation(x * 1e300, x * 1e300) is None
