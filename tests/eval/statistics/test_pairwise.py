import itertools

import numpy as np
import pytest

from eval.statistics.paired import paired_difference
from eval.statistics.pairwise import EXACT_BELOW, adjust_p_values, compare_all, mcnemar_p_values


@pytest.fixture
def policies():
    generator = np.random.default_rng(2)
    return {f"policy {k}": generator.random(150) < 0.45 + 0.08 * k for k in range(5)}


def test_matrix_equals_pair_by_pair(policies):
    comparisons = compare_all(policies)
    assert [(c.first, c.second) for c in comparisons] == list(itertools.combinations(policies, 2))
    for comparison in comparisons:
        first, second = policies[comparison.first], policies[comparison.second]
        assert comparison.first_only == int((first & ~second).sum())
        assert comparison.second_only == int((second & ~first).sum())
        discordant = comparison.first_only + comparison.second_only
        assert comparison.p_value == mcnemar_p_values(comparison.first_only, comparison.second_only)
        assert comparison.method == ("exact" if discordant < EXACT_BELOW else "chi-square")
        assert comparison.difference[:3] == pytest.approx(paired_difference(first, second)[:3])


def test_seven_entries_are_a_family_of_21():
    generator = np.random.default_rng(0)
    comparisons = compare_all({str(k): generator.random(80) < 0.5 for k in range(7)})
    assert len(comparisons) == 21
    for comparison in comparisons:
        assert comparison.bonferroni == pytest.approx(min(1.0, 21 * comparison.p_value))


def test_declared_pairs_are_the_family(policies):
    declared = [("policy 4", "policy 0"), ("policy 3", "policy 0")]
    comparisons = compare_all(policies, pairs=declared)
    assert [(c.first, c.second) for c in comparisons] == declared
    assert [c.holm for c in comparisons] == pytest.approx(
        list(adjust_p_values([c.p_value for c in comparisons], "holm"))
    )


def test_one_policy_makes_no_pairs():
    assert compare_all({"only": [True, False]}) == []


def test_different_lengths_are_refused():
    with pytest.raises(ValueError, match="same questions"):
        compare_all({"a": [True], "b": [True, False]})


def test_no_questions_are_refused():
    with pytest.raises(ValueError, match="no questions"):
        compare_all({"a": [], "b": []})
