import numpy as np
import pytest

from eval.statistics.pairwise import compare_all
from eval.statistics.stability import OrderedPair, rank_intervals
from tests.eval.statistics.simulated import simulated_answers


def test_counts_what_is_shown_better_and_worse():
    pairs = [
        OrderedPair("a", "b", 0.2, 0.001),
        OrderedPair("a", "c", 0.3, 0.001),
        OrderedPair("b", "c", 0.1, 0.5),
    ]
    assert rank_intervals(["a", "b", "c"], pairs) == {"a": (1, 1), "b": (2, 3), "c": (2, 3)}


def test_bonferronis_bound_is_over_the_pairs_given():
    pair = OrderedPair("a", "b", -0.2, 0.02)
    assert rank_intervals(["a", "b"], [pair])["a"] == (2, 2)
    others = [OrderedPair("a", "c", 0.0, 1.0), OrderedPair("b", "c", 0.0, 1.0)]
    assert rank_intervals(["a", "b", "c"], [pair, *others])["a"] == (1, 3)


def test_untested_pairs_say_nothing():
    assert rank_intervals(["a", "b"], []) == {"a": (1, 2), "b": (1, 2)}


def test_an_unranked_entry_is_refused():
    with pytest.raises(ValueError, match="not both"):
        rank_intervals(["a"], [OrderedPair("a", "x", 0.1, 0.5)])


@pytest.mark.parametrize("spread", [0.02, 0.3])
def test_all_true_ranks_are_covered_together(spread):
    generator = np.random.default_rng(int(100 * spread))
    covered, repeats = 0, 150
    for _ in range(repeats):
        answers, true, _ = simulated_answers(generator, 0.3 + spread * generator.standard_normal(7), 1, 150)
        compared = compare_all({name: runs[0] for name, runs in answers.items()})
        pairs = [OrderedPair(c.first, c.second, c.difference.value, c.p_value) for c in compared]
        found = rank_intervals(list(answers), pairs)
        ranks = (-true).argsort().argsort() + 1
        covered += all(low <= rank <= high for rank, (low, high) in zip(ranks, found.values(), strict=True))
    assert covered / repeats >= 0.95 - 4 * (0.95 * 0.05 / repeats) ** 0.5
