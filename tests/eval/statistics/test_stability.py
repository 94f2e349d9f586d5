import numpy as np
import pytest
from scipy import stats

from eval.statistics.stability import rank_stability
from tests.eval.statistics.simulated import simulated_answers


@pytest.mark.parametrize("seeds", [1, 4])
def test_agrees_with_ranks_of_plain_resamples(seeds):
    answers, _, _ = simulated_answers(np.random.default_rng(1), [0.2, 0.3, 0.4, 0.8], seeds, 80, 0.2)
    table = np.array(list(answers.values()))
    generator = np.random.default_rng(2)
    ranks = []
    for _ in range(1500):
        drawn = generator.integers(0, 80, 80)
        scores = [run[np.ix_(generator.integers(0, seeds, seeds) if seeds > 1 else [0], drawn)].mean() for run in table]
        ranks.append(stats.rankdata(-np.round(scores, 9)))
    ranks = np.array(ranks)
    found = rank_stability(answers, resamples=3000)
    leads = ranks == ranks.min(axis=1, keepdims=True)
    first = (leads / leads.sum(axis=1, keepdims=True)).mean(axis=0)
    low, high = np.quantile(ranks, [0.025, 0.975], axis=0)
    for k, spread in enumerate(found.entries.values()):
        assert spread.first == pytest.approx(first[k], abs=0.05)
        assert (spread.low, spread.high) == pytest.approx((low[k], high[k]), abs=0.5)
    observed = stats.rankdata(-np.round(table.mean(axis=(1, 2)), 9))
    assert [spread.rank for spread in found.entries.values()] == observed.tolist()


def test_equal_entries_share_their_place_and_the_lead():
    same = np.random.default_rng(3).random(50) < 0.5
    found = rank_stability({"a": same, "b": same, "c": np.zeros(50, dtype=bool)}).entries
    assert found["a"] == found["b"] == (1.5, 1.5, 1.5, pytest.approx(0.5))
    assert found["c"] == (3, 3, 3, 0)


def test_agreement_is_about_zero_by_chance_and_one_where_the_order_is_plain():
    generator = np.random.default_rng(4)
    for seeds, luck in ((1, 0.0), (3, 0.3)):
        equal = [
            rank_stability(simulated_answers(generator, np.zeros(6), seeds, 60, luck)[0], resamples=2).agreement
            for _ in range(30)
        ]
        assert abs(np.mean(equal)) < 4 * np.std(equal) / 30**0.5
    plain, _, _ = simulated_answers(generator, np.linspace(-3, 3, 5), 3, 600, 0.1)
    assert rank_stability(plain).agreement > 0.99


def test_agreement_is_that_of_halves_taken_apart_by_hand():
    answers, _, _ = simulated_answers(np.random.default_rng(5), [0.1, 0.2, 0.3, 0.5, 0.6], 1, 60)
    table = np.array([run[0] for run in answers.values()])
    generator = np.random.default_rng(6)
    found = []
    for _ in range(1000):
        order = generator.permutation(60)
        one, other = table[:, order[:30]].sum(axis=1), table[:, order[30:]].sum(axis=1)
        if np.ptp(one) and np.ptp(other):
            found.append(stats.spearmanr(one, other).statistic)
    assert rank_stability(answers, resamples=10).agreement == pytest.approx(np.mean(found), abs=0.05)


def test_without_any_difference_there_is_no_order_to_agree_with():
    same = np.ones(20, dtype=bool)
    assert rank_stability({"a": same, "b": same}).agreement is None
