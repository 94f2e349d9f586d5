import math

import pytest
from statsmodels.stats.proportion import proportion_confint

from eval.statistics.estimate import wilson_interval


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe 1998, Stat. Med. 17:857-872, table I, method 3 (score without continuity correction).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_published_examples(successes, n, low, high):
    estimate = wilson_interval(successes, n)
    assert (round(estimate.low, 4), round(estimate.high, 4)) == (low, high)
    assert estimate.value == successes / n
    assert estimate.n == n


def test_all_right_still_has_width():
    estimate = wilson_interval(50, 50)
    z = 1.959963984540054
    assert math.isclose(estimate.low, 50 / (50 + z * z), rel_tol=1e-9)
    assert estimate.high == 1.0


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_agrees_with_statsmodels(level):
    for n in (1, 7, 250, 1319):
        for successes in range(0, n + 1, max(1, n // 9)):
            found = wilson_interval(successes, n, level)
            theirs = proportion_confint(successes, n, alpha=1 - level, method="wilson")
            assert (found.low, found.high) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(successes, n):
    with pytest.raises(ValueError, match="not a proportion"):
        wilson_interval(successes, n)


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_level_must_be_a_share(level):
    with pytest.raises(ValueError, match="confidence level"):
        wilson_interval(3, 5, level)
