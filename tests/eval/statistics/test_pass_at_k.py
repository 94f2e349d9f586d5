from itertools import combinations
from math import comb

import numpy as np
import pytest

from eval.statistics.concordance import pass_at_k, question_pass_at_k


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_is_the_share_of_all_subsets_with_a_right_answer(k):
    for right in range(6):
        samples = [True] * right + [False] * (5 - right)
        subsets = [any(subset) for subset in combinations(samples, k)]
        assert question_pass_at_k([right], [5], k)[0] == pytest.approx(np.mean(subsets))


def test_many_samples_do_not_overflow():
    """Against exact whole numbers."""
    for right, k in ((3, 100), (100, 10), (900, 100), (950, 60)):
        expected = 1 - comb(1000 - right, k) / comb(1000, k)
        assert question_pass_at_k([right], [1000], k)[0] == pytest.approx(expected, rel=1e-12)


def test_one_sample_is_accuracy():
    assert pass_at_k([1, 0, 4, 2], [4, 4, 4, 4], 1).value == pytest.approx(7 / 16)


def test_questions_may_have_different_numbers_of_samples():
    found = pass_at_k([1, 2], [2, 8], 2)
    assert found.value == pytest.approx((1 + 1 - comb(6, 2) / comb(8, 2)) / 2)
    assert found.n == 2


def test_is_unbiased_where_the_plug_in_is_not():
    generator = np.random.default_rng(0)
    mass, n, k = 0.15, 8, 4
    right = generator.binomial(n, mass, size=200_000)
    truth = 1 - (1 - mass) ** k
    assert question_pass_at_k(right, np.full(right.shape, n), k).mean() == pytest.approx(truth, abs=0.004)
    assert (1 - (1 - right / n) ** k).mean() < truth - 0.02


@pytest.mark.parametrize("k", [1, 4, 8])
def test_coverage_for_new_questions(k):
    generator = np.random.default_rng(k)
    truth = np.mean(1 - (1 - np.random.default_rng(99).beta(0.8, 1.6, size=2_000_000)) ** k)
    covered, repeats = 0, 300
    for _ in range(repeats):
        found = pass_at_k(generator.binomial(8, generator.beta(0.8, 1.6, size=64)), np.full(64, 8), k)
        covered += found.low <= truth <= found.high
    assert covered / repeats > 0.95 - 4 * (0.95 * 0.05 / repeats) ** 0.5


@pytest.mark.parametrize(
    ("right", "samples", "k", "words"),
    [([1], [4], 5, "k = 5"), ([1], [4], 0, "k = 0"), ([5], [4], 1, "more right"), ([1, 2], [4], 1, "belong together")],
)
def test_impossible_counts_are_refused(right, samples, k, words):
    with pytest.raises(ValueError, match=words):
        pass_at_k(right, samples, k)


def test_one_question_has_no_interval():
    assert pass_at_k([1], [4], 2) is None
