import numpy as np
import pytest
from scipy import stats

from eval.statistics.concordance import correlation_interval, group_jackknife, share_interval


def test_of_a_mean_of_single_units_it_is_the_textbook_error():
    values = np.random.default_rng(0).normal(size=30)
    found = group_jackknife(lambda keep: float(values[keep].mean()), range(30))
    assert found == pytest.approx(stats.sem(values))


def test_whole_groups_are_left_out():
    values = np.repeat(np.random.default_rng(0).normal(size=12), 5)
    groups = np.repeat(np.arange(12), 5).tolist()
    # Five copies of a unit say no more than one.
    assert group_jackknife(lambda keep: float(values[keep].mean()), groups) == pytest.approx(stats.sem(values[::5]))


def test_a_figure_that_rests_on_one_group_has_no_error():
    assert group_jackknife(lambda keep: 1.0 if keep[0] else None, ["a", "b", "c"]) is None
    assert group_jackknife(lambda keep: 1.0, ["a", "a"]) is None
    assert group_jackknife(lambda keep: 1.0, []) is None


def test_intervals_stay_within_their_range_and_follow_the_level():
    low, high = share_interval(0.97, 0.05, 20)
    assert 0 < low < 0.97 < high < 1
    wide = share_interval(0.97, 0.05, 20, level=0.99)
    assert wide.low < low
    low, high = correlation_interval(-0.98, 0.05, 20)
    assert -1 < low < -0.98 < high < 1


def test_small_errors_give_the_ordinary_interval():
    t = stats.t.ppf(0.975, 39)
    low, high = share_interval(0.4, 1e-4, 40)
    assert (low, high) == pytest.approx((0.4 - t * 1e-4, 0.4 + t * 1e-4), abs=1e-7)
    low, high = correlation_interval(0.4, 1e-4, 40)
    assert (low, high) == pytest.approx((0.4 - t * 1e-4, 0.4 + t * 1e-4), abs=1e-7)
