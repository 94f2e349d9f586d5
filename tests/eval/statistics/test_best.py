import numpy as np
import pytest
from scipy import stats

from eval.statistics.best import SPREAD, probability_best, shrunken_means
from tests.eval.statistics.simulated import simulated_answers


def test_agrees_with_integration_over_a_grid():
    """Two entries: the posterior of their difference by brute force over the spread of true accuracies."""
    answers, _, _ = simulated_answers(np.random.default_rng(1), [0.5, 0.7], 1, 150)
    first, second = (run[0].astype(float) for run in answers.values())
    difference = first.mean() - second.mean()
    variance = (first - second).var(ddof=1) / 150 + 2 * 0.5 / (150 * 151)
    spread = np.linspace(1e-4, 5, 400_000)
    # The mean of both is flat, so that all is in the difference: prior N(0, 2 spread^2), error N(0, variance).
    prior_variance = 2 * spread**2
    weight = stats.cauchy.pdf(spread, scale=SPREAD) * stats.norm.pdf(
        difference, scale=np.sqrt(prior_variance + variance)
    )
    shrunk = prior_variance / (prior_variance + variance)
    leads = stats.norm.cdf(shrunk * difference / np.sqrt(shrunk * variance))
    expected = (weight * leads).sum() / weight.sum()
    assert probability_best(answers, draws=50_000)["entry 0"] == pytest.approx(expected, abs=0.012)


def test_probabilities_add_up_and_follow_the_accuracies():
    answers, _, _ = simulated_answers(np.random.default_rng(2), np.linspace(0, 1, 6), 3, 300, 0.1)
    found = probability_best(answers)
    assert sum(found.values()) == pytest.approx(1)
    assert max(found, key=found.get) == "entry 5"
    assert found["entry 0"] < 0.001


def test_equal_entries_share_the_probability():
    same = np.random.default_rng(3).random(200) < 0.6
    found = probability_best({"a": same, "b": same, "c": same, "d": same}, draws=20_000)
    assert list(found.values()) == pytest.approx([0.25] * 4, abs=0.02)


def test_all_right_on_few_questions_is_not_certainty():
    found = probability_best({"a": [True] * 10, "b": [True] * 9 + [False]})
    assert 0.5 < found["a"] < 0.95


def test_the_luck_of_seeds_counts():
    """The same mean accuracies on the same questions; where seeds differ more, less is known."""
    generator = np.random.default_rng(4)
    ease = generator.standard_normal(2000)
    steady = {f"{k}": np.tile(ease + 0.2 * k > 0, (3, 1)) for k in range(3)}
    moved = [ease + 0.2 * k + luck > 0 for k in range(3) for luck in (-0.4, 0, 0.4)]
    lucky = {f"{k}": np.array(moved[3 * k : 3 * k + 3]) for k in range(3)}
    assert probability_best(steady)["2"] > 0.99
    assert probability_best(lucky)["2"] < 0.9


@pytest.mark.parametrize(
    ("seeds", "questions", "spread"),
    [(1, 100, 0.2), (3, 100, 0.2), pytest.param(5, 1319, 0.1, marks=pytest.mark.slow)],
)
def test_is_calibrated(seeds, questions, spread):
    """Planted truth: of many searches with true levels drawn at random, the leader is truly best as often as said."""
    generator = np.random.default_rng(int(1000 * spread) + questions)
    said, truly, repeats = [], [], 200
    for _ in range(repeats):
        luck = 0.2 if seeds > 1 else 0.0
        answers, true, _ = simulated_answers(
            generator, 0.4 + spread * generator.standard_normal(7), seeds, questions, luck
        )
        found = list(probability_best(answers, draws=300).values())
        said.append(max(found))
        truly.append(int(np.argmax(found)) == int(np.argmax(true)))
    error = 4 * (np.var(truly) / repeats) ** 0.5
    assert abs(np.mean(said) - np.mean(truly)) < error


def test_shrunken_means_are_those_of_the_posterior_by_brute_force() -> None:
    """Importance sampling of the same model: spread, mean and true means drawn from the prior, weighed by what was
    measured."""
    generator = np.random.default_rng(0)
    measured, variances = np.array([0.4, 0.5, 0.72]), np.array([0.09, 0.09 / 4, 0.09]) ** 2
    draws = 4_000_000
    spread = np.abs(SPREAD * np.tan(np.pi * (generator.random(draws) - 0.5)))
    mean = generator.uniform(-0.5, 1.5, draws)
    truth = mean[:, None] + spread[:, None] * generator.standard_normal((draws, 3))
    weight = np.exp(-0.5 * ((measured - truth) ** 2 / variances).sum(axis=1))
    expected = (weight[:, None] * truth).sum(axis=0) / weight.sum()
    assert shrunken_means(measured, variances) == pytest.approx(expected, abs=0.003)


def test_fewer_runs_come_nearer_to_the_mean_of_all() -> None:
    measured, one_run = [0.4, 0.45, 0.5, 0.55, 0.7, 0.7], 0.09**2
    shrunken = shrunken_means(measured, [one_run] * 5 + [one_run / 4])
    assert shrunken[5] > shrunken[4] > shrunken[3]
    assert 0.4 < shrunken[0] < 0.5
    alike = shrunken_means(measured, [one_run] * 6)
    assert (np.diff(alike[:5]) > 0).all()
    assert shrunken_means([0.3], [0.01]).tolist() == [0.3]
    with pytest.raises(ValueError, match="variance above 0"):
        shrunken_means([0.3, 0.4], [0.01, 0.0])
