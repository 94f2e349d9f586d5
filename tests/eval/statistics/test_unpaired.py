import numpy as np
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep

from eval.statistics.unpaired import unpaired_difference


def answers(right, n):
    return [True] * right + [False] * (n - right)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    # Newcombe 1998, Stat. Med. 17:873-890, table II, method 10 (score without continuity correction).
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((10, 10), (0, 20), 0.6791, 1.0000),
    ],
)
def test_published_examples(first, second, low, high):
    found = unpaired_difference(answers(*first), answers(*second))
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert found.value == pytest.approx(first[0] / first[1] - second[0] / second[1])


@pytest.mark.parametrize(("first", "second"), [((310, 500), (760, 1319)), ((3, 40), (0, 100))])
def test_agrees_with_statsmodels(first, second):
    found = unpaired_difference(answers(*first), answers(*second), 0.9)
    theirs = confint_proportions_2indep(*first, *second, method="newcomb", alpha=0.1)
    assert (found.low, found.high) == pytest.approx(theirs, abs=1e-9)


def test_luck_of_seeds_cancels():
    """Both sets were answered by the same trained policies: if these differ, but questions do not, nothing is left."""
    validation, test = np.zeros((2, 40)), np.zeros((2, 60))
    validation[0], test[0] = 1, 1
    found = unpaired_difference(validation, test)
    assert found.value == 0
    noisy = np.random.default_rng(0).random((2, 500)) < [[0.9], [0.3]]
    found = unpaired_difference(noisy[:, :200], noisy[:, 200:])
    per_question = noisy.mean(axis=0)
    error = (per_question[:200].var(ddof=1) / 200 + per_question[200:].var(ddof=1) / 300) ** 0.5
    assert found.high - found.value == pytest.approx(1.97 * error, rel=0.01)


def test_coverage_for_new_questions():
    generator = np.random.default_rng(6)
    covered, repeats = 0, 800
    for _ in range(repeats):
        level = 0.3 + 0.3 * generator.standard_normal((3, 1))
        sets = [level + generator.standard_normal(n) + generator.standard_normal((3, n)) > 0 for n in (100, 300)]
        found = unpaired_difference(*sets)
        covered += found.low <= 0 <= found.high
    assert abs(covered / repeats - 0.95) < 4 * (0.95 * 0.05 / repeats) ** 0.5


@pytest.mark.parametrize(("first", "second"), [([], [True]), (np.ones((2, 3)), np.ones((3, 3)))])
def test_what_cannot_be_compared_is_refused(first, second):
    with pytest.raises(ValueError, match="same policies"):
        unpaired_difference(first, second)
