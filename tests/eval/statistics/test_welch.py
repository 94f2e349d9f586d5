import pytest
from scipy.stats import ttest_ind

from eval.statistics.unpaired import welch_difference


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(
    ("first", "second"), [([0.61, 0.7, 0.55, 0.8], [0.5, 0.52, 0.9]), ([1, 2, 3, 4, 9], [2, 2, 2]), ([0, 1], [5, 7])]
)
def test_agrees_with_scipy(first, second, level):
    found = welch_difference(first, second, level)
    low, high = ttest_ind(first, second, equal_var=False).confidence_interval(level)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.value == pytest.approx(sum(first) / len(first) - sum(second) / len(second))


def test_too_few_or_all_alike_have_no_interval():
    assert welch_difference([1.0], [1.0, 2.0]) is None
    assert welch_difference([1.0, 1.0], [2.0, 2.0]) is None
