"""Arms compared over seeds, against enumeration, scipy's own paired test and statsmodels."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import ttest_rel
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from eval.statistics.replicates import (
    compare_arms,
    least_sign_flip_p_value,
    sign_flip_p_value,
    smallest_detectable_paired_difference,
)

GUIDED = [0.61, 0.70, 0.55, 0.72, 0.66]
UNGUIDED = [0.58, 0.61, 0.57, 0.60, 0.62]
SHUFFLED = [0.60, 0.66, 0.50, 0.70, 0.68]


def enumerated(differences: list[float]) -> float:
    """Share of all assignments of signs whose mean is at least as far from 0 as the one observed."""
    observed = abs(sum(differences))
    means = [abs(np.dot(signs, differences)) for signs in product((1, -1), repeat=len(differences))]
    return sum(mean >= observed - 1e-12 for mean in means) / len(means)


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_the_sign_flip_test_is_the_enumeration(n: int) -> None:
    generator = np.random.default_rng(n)
    for _ in range(5):
        differences = generator.normal(0.3, 1.0, n).round(2).tolist()
        assert sign_flip_p_value(differences) == pytest.approx(enumerated(differences))


def test_equal_differences_and_ties_are_counted() -> None:
    assert sign_flip_p_value([0.1, 0.1, -0.1, 0.0]) == pytest.approx(enumerated([0.1, 0.1, -0.1, 0.0]))
    assert sign_flip_p_value([0.0, 0.0, 0.0]) == 1.0


def test_no_data_give_less_than_the_least_p_value() -> None:
    for n in range(1, 9):
        assert sign_flip_p_value([0.1 + k / 100 for k in range(n)]) == pytest.approx(least_sign_flip_p_value(n))
    assert least_sign_flip_p_value(5) == 0.0625


def test_beyond_enumeration_signs_are_drawn() -> None:
    differences = np.random.default_rng(1).normal(0.1, 1.0, 30)
    assert sign_flip_p_value(differences.tolist()) == pytest.approx(
        ttest_rel(differences, np.zeros(30)).pvalue, abs=0.02
    )


def test_the_sign_flip_test_keeps_its_level() -> None:
    generator = np.random.default_rng(7)
    values = [sign_flip_p_value(generator.exponential(1, 7) - generator.exponential(1, 7)) for _ in range(400)]
    for level in (1 / 64, 0.05, 0.2):
        assert np.mean(np.array(values) <= level) <= level + 2.6 * (level * (1 - level) / 400) ** 0.5


def test_comparisons_are_the_paired_t_test_with_holm() -> None:
    arms = {"ranked": GUIDED, "none": UNGUIDED, "shuffled": SHUFFLED}
    over_none, over_shuffled = compare_arms(arms, [("ranked", "none"), ("ranked", "shuffled")])
    references = [ttest_rel(GUIDED, UNGUIDED), ttest_rel(GUIDED, SHUFFLED)]
    for found, reference in zip((over_none, over_shuffled), references, strict=True):
        interval = reference.confidence_interval(0.95)
        assert found.t_p == pytest.approx(reference.pvalue)
        assert found.estimate is not None
        assert found.estimate[1:4] == pytest.approx((interval.low, interval.high, 5))
        assert found.sign_flip_p == pytest.approx(enumerated([d for d in found.differences if d is not None]))
    adjusted = multipletests([reference.pvalue for reference in references], method="holm")[1]
    assert [over_none.holm_t, over_shuffled.holm_t] == pytest.approx(adjusted)
    exact = multipletests([over_none.sign_flip_p, over_shuffled.sign_flip_p], method="holm")[1]
    assert [over_none.holm_sign_flip, over_shuffled.holm_sign_flip] == pytest.approx(exact)
    assert over_none.least_sign_flip == 2 * 0.0625
    effect = TTestPower().solve_power(nobs=5, alpha=0.025, power=0.8, alternative="two-sided")
    std = np.std(np.subtract(GUIDED, UNGUIDED), ddof=1)
    assert over_none.detectable == pytest.approx(effect * std, rel=1e-4)


def test_a_missing_run_takes_its_pair_out_and_is_no_zero() -> None:
    (found,) = compare_arms({"a": [0.5, None, 0.7, 0.6], "b": [0.4, 0.1, 0.5, 0.6]}, [("a", "b")])
    assert found.differences == pytest.approx((0.1, None, 0.2, 0.0))
    assert found.estimate is not None
    assert (found.estimate.value, found.estimate.n) == (pytest.approx(0.1), 3)


def test_a_pair_that_cannot_be_tested_still_counts_as_declared() -> None:
    arms = {"a": GUIDED, "b": UNGUIDED, "c": [0.5, None, None, None, None]}
    tested, untested = compare_arms(arms, [("a", "b"), ("a", "c")])
    assert tested.t_p is not None
    assert tested.holm_t == pytest.approx(min(1.0, 2 * tested.t_p))
    assert (untested.estimate, untested.t_p, untested.holm_t, untested.holm_sign_flip) == (None, None, None, None)


def test_differences_without_spread() -> None:
    for second in ([0.5, 0.6, 0.7], [0.4, 0.5, 0.6]):
        (found,) = compare_arms({"a": [0.5, 0.6, 0.7], "b": second}, [("a", "b")])
        assert (found.t_p, found.holm_t, found.detectable) == (None, None, None)
        assert found.estimate is not None
        assert found.estimate.value == pytest.approx(0.5 - second[0])
        assert found.sign_flip_p == (1.0 if second[0] == 0.5 else 0.25)


def test_arms_need_the_same_seeds() -> None:
    with pytest.raises(ValueError, match="one value per seed"):
        compare_arms({"a": [0.5, 0.6], "b": [0.5]}, [("a", "b")])


@pytest.mark.parametrize(("pairs", "alpha"), [(2, 0.05), (5, 0.05), (7, 0.025), (30, 0.01)])
def test_the_detectable_paired_difference_is_that_of_statsmodels(pairs: int, alpha: float) -> None:
    effect = TTestPower().solve_power(nobs=pairs, alpha=alpha, power=0.8, alternative="two-sided")
    assert smallest_detectable_paired_difference(0.5, pairs, 0.8, alpha) == pytest.approx(0.5 * effect, rel=1e-4)


def test_the_detectable_paired_difference_is_found_as_often_as_it_says() -> None:
    found = smallest_detectable_paired_difference(1.0, 2, 0.8, 0.025)
    generator = np.random.default_rng(3)
    samples = generator.normal(found, 1.0, (4000, 2))
    power = np.mean(ttest_rel(samples, np.zeros_like(samples), axis=1).pvalue <= 0.025)
    assert power == pytest.approx(0.8, abs=0.02)
    with pytest.raises(ValueError, match="at least 2"):
        smallest_detectable_paired_difference(1.0, 1)
