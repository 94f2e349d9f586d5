from itertools import product

import numpy as np
import pytest
from scipy import stats

from eval.statistics.concordance import clustered_auc, mean_share, within_group_preference


def rollouts(generator, questions=40, per_question=6, effect=1.0, of_question=1.0):
    """Scores with an effect of correctness, a difficulty and a level that rollouts of a question share."""
    groups = np.repeat(np.arange(questions), per_question)
    right = generator.random(groups.size) < np.repeat(generator.beta(2, 3, questions), per_question)
    level = np.repeat(generator.normal(size=questions) * of_question, per_question)
    scores = (effect * right + level + generator.normal(size=groups.size)).round(1)
    return scores, right, groups.tolist()


def test_values_are_counts_over_pairs():
    scores, right, groups = rollouts(np.random.default_rng(1), questions=9)
    everywhere, inside = [], []
    for a, b in product(range(len(groups)), repeat=2):
        if right[a] and not right[b]:
            win = 1.0 if scores[a] > scores[b] else 0.5 if scores[a] == scores[b] else 0.0
            everywhere.append(win)
            if groups[a] == groups[b]:
                inside.append(win)
    assert clustered_auc(scores, right, groups).value == pytest.approx(np.mean(everywhere))
    assert within_group_preference(scores, right, groups).value == pytest.approx(np.mean(inside))


def test_auc_without_groups_is_mann_whitneys():
    scores, right, _ = rollouts(np.random.default_rng(2))
    found = clustered_auc(scores, right, range(len(scores)))
    assert found.value == pytest.approx(clustered_auc_value(scores, right))


def test_the_error_of_auc_is_obuchowskis():
    """Obuchowski 1997, eq. 3 to 6: sums over clusters of the placements of right and of wrong rollouts."""
    scores, right, groups = rollouts(np.random.default_rng(3), questions=150)
    groups = np.array(groups)
    x, y = scores[right], scores[~right]
    wins = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
    area, count, m, n = wins.mean(), 150, x.size, y.size
    v10, v01 = wins.mean(axis=1), wins.mean(axis=0)
    a = np.array([(v10[groups[right] == k] - area).sum() for k in range(count)])
    b = np.array([(v01[groups[~right] == k] - area).sum() for k in range(count)])
    terms = np.sum(a**2) / m**2 + np.sum(b**2) / n**2 + 2 * np.sum(a * b) / (m * n)
    variance = terms * count / (count - 1)
    found = clustered_auc(scores, right, groups.tolist())
    half = stats.t.ppf(0.975, count - 1) * variance**0.5
    logit = np.log(area / (1 - area)) + np.array([-1, 1]) * half / (area * (1 - area))
    assert (found.low, found.high) == pytest.approx(tuple(1 / (1 + np.exp(-logit))), abs=2e-3)


@pytest.mark.parametrize("figure", [clustered_auc, within_group_preference])
def test_intervals_cover_at_their_level(figure):
    generator = np.random.default_rng(4)
    # Of one question: the effect, 1, against the noise of two rollouts. Of any two: there is no formula with rollouts
    # of one question among the pairs, so the truth is that of very many questions.
    truth = stats.norm.cdf(1 / np.sqrt(2))
    if figure is clustered_auc:
        scores, right, _ = rollouts(generator, questions=20_000)
        truth = clustered_auc_value(scores, right)
    covered = 0
    for _ in range(300):
        found = figure(*rollouts(generator, questions=30))
        covered += found.low <= truth <= found.high
    assert 0.91 <= covered / 300 <= 0.985


def clustered_auc_value(scores, right):
    return stats.mannwhitneyu(scores[right], scores[~right]).statistic / (right.sum() * (~right).sum())


def test_perfect_agreement_is_not_certainty():
    groups = [k // 2 for k in range(20)]
    right = [k % 2 == 0 for k in range(20)]
    for figure in (clustered_auc, within_group_preference):
        found = figure([float(item) for item in right], right, groups)
        assert (found.value, found.high, found.n, found.method) == (1.0, 1.0, 10, "Wilson")
        assert found.low == pytest.approx(0.7225, abs=1e-4)  # R: binom::binom.wilson(10, 10)
        worst = figure([-float(item) for item in right], right, groups)
        assert (worst.value, worst.low) == (0.0, 0.0)


def test_a_constant_score_agrees_by_half():
    groups, right = [0, 0, 1, 1, 2, 2], [True, False] * 3
    assert clustered_auc([1.0] * 6, right, groups).value == 0.5
    assert within_group_preference([1.0] * 6, right, groups).value == 0.5


def test_undefined_figures_are_none():
    groups = [0, 0, 1, 1]
    assert clustered_auc([1, 2, 3, 4], [True] * 4, groups) is None
    assert clustered_auc([1, 2, 3, 4], [True, False, False, False], groups) is None  # one question has all the right
    assert within_group_preference([1, 2, 3, 4], [True, True, False, False], groups) is None
    assert within_group_preference([1, 2, 3, 4], [True, False, False, False], groups) is None
    assert clustered_auc([], [], []) is None
    assert mean_share([0.5]) is None


def test_mean_share():
    values = np.random.default_rng(5).beta(4, 2, size=25)
    found = mean_share(values)
    assert found.value == pytest.approx(values.mean())
    assert found.low < values.mean() < found.high
    assert found.n == 25
    assert mean_share([1.0] * 8).low < 1.0


@pytest.mark.parametrize("scores", [[1.0, float("nan")], [1.0, float("inf")], [1.0]])
def test_bad_scores_are_refused(scores):
    with pytest.raises(ValueError, match="scores"):
        clustered_auc(scores, [True, False], [0, 1])
