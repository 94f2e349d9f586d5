import numpy as np
import pytest
from scipy import stats

from eval.statistics.seeds import (
    question_mean,
    seed_question_difference,
    seed_question_mean,
    summarise_seeds,
)


def simulated(generator, seeds, questions, seed_spread=0.2, question_spread=1.0, mean=0.3):
    """Right where a latent normal is positive: crossed effects of seed and question, true mean known."""
    latent = (
        mean
        + seed_spread * generator.standard_normal((seeds, 1))
        + question_spread * generator.standard_normal((1, questions))
        + generator.standard_normal((seeds, questions))
    )
    return latent > 0


def truth(seed_spread=0.2, question_spread=1.0, mean=0.3):
    return float(stats.norm.cdf(mean / (1 + seed_spread**2 + question_spread**2) ** 0.5))


def test_interval_over_seeds_is_students():
    values = [0.71, 0.74, 0.69, 0.73, 0.72]
    summary = summarise_seeds(values)
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (summary.interval.low, summary.interval.high) == pytest.approx((theirs.low, theirs.high))
    assert summary.std == pytest.approx(np.std(values, ddof=1))


def test_a_single_seed_has_no_spread_to_report():
    assert summarise_seeds([0.7]) == (1, 0.7, None, None)


def test_no_seeds_are_refused():
    with pytest.raises(ValueError, match="no seeds"):
        summarise_seeds([])


def test_mean_squares_agree_with_the_anova_of_statsmodels():
    """The variance of the mean from the ANOVA table of a two-way layout without replication."""
    import pandas as pd
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    table = np.random.default_rng(0).normal(size=(4, 12)) + np.arange(4)[:, None] + np.arange(12)[None, :]
    rows = [(s, q, table[s, q]) for s in range(4) for q in range(12)]
    frame = pd.DataFrame(rows, columns=["seed", "question", "score"])
    squares = anova_lm(ols("score ~ C(seed) + C(question)", frame).fit())["mean_sq"]
    variance = (squares["C(seed)"] + squares["C(question)"] - squares["Residual"]) / table.size
    freedom = (variance * table.size) ** 2 / (
        squares["C(seed)"] ** 2 / 3 + squares["C(question)"] ** 2 / 11 + squares["Residual"] ** 2 / 33
    )
    of_seeds = (squares["C(seed)"] - squares["Residual"]) / table.size
    satterthwaite = stats.t.ppf(0.975, freedom) * variance**0.5
    howe = (stats.t.ppf(0.975, 3) ** 2 * of_seeds + stats.t.ppf(0.975, 11) ** 2 * (variance - of_seeds)) ** 0.5
    half = max(satterthwaite, howe)
    found = seed_question_mean(table)
    assert (found.value, found.high - found.value) == pytest.approx((table.mean(), half))


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("questions", [100, pytest.param(1319, marks=pytest.mark.slow)])
def test_coverage(seeds, questions):
    generator = np.random.default_rng(seeds)
    repeats = 500 if questions == 100 else 2000
    true = truth()
    covered = 0
    for _ in range(repeats):
        found = seed_question_mean(simulated(generator, seeds, questions))
        covered += found.low <= true <= found.high
    error = 4 * (0.95 * 0.05 / repeats) ** 0.5
    assert 0.95 - error - 0.005 <= covered / repeats <= 0.995


def test_all_right_gives_the_wilson_interval_over_questions():
    found = seed_question_mean(np.ones((3, 50)))
    assert (found.method, found.high) == ("Wilson", 1.0)
    assert found.low < 0.95


def test_questions_alone_vary_gives_the_interval_of_questions():
    """Seeds that agree on every question: nothing but questions contributes."""
    right = np.random.default_rng(4).random(400) < 0.6
    found = seed_question_mean(np.tile(right, (3, 1)))
    expected = stats.t.ppf(0.975, 399) * right.std(ddof=1) / 20
    assert found.high - found.value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("shape", [(1, 10), (10,), (3, 1), (0, 0)])
def test_too_small_a_table_is_refused(shape):
    with pytest.raises(ValueError, match="seeds and questions"):
        seed_question_mean(np.zeros(shape))


@pytest.mark.parametrize("seeds", [(3, 3), (5, 5), (3, 5)])
def test_difference_size_and_coverage(seeds):
    generator = np.random.default_rng(sum(seeds))
    repeats, rejected, covered = 500, 0, 0
    for _ in range(repeats):
        shared = generator.standard_normal((1, 100))
        first, second = (
            0.3 + 0.2 * generator.standard_normal((s, 1)) + shared + generator.standard_normal((s, 100)) > 0
            for s in seeds
        )
        found = seed_question_difference(first, second)
        rejected += found.p_value <= 0.05
        covered += found.estimate.low <= 0 <= found.estimate.high
    assert rejected == repeats - covered
    assert rejected / repeats <= 0.05 + 3 * (0.05 * 0.95 / repeats) ** 0.5


def test_difference_without_question_noise_is_near_welch():
    """Where questions add next to nothing, the two sets of seed means decide, as in Welch's t test."""
    generator = np.random.default_rng(9)
    first, second = generator.normal(0.6, 0.1, (4, 1)), generator.normal(0.5, 0.02, (6, 1))
    noise = 1e-4
    a, b = first + noise * generator.standard_normal((4, 300)), second + noise * generator.standard_normal((6, 300))
    theirs = stats.ttest_ind(a.mean(axis=1), b.mean(axis=1), equal_var=False)
    found = seed_question_difference(a, b)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-2)
    bounds = theirs.confidence_interval()
    assert (found.estimate.low, found.estimate.high) == pytest.approx((bounds.low, bounds.high), abs=1e-3)


def test_difference_on_other_questions_is_refused():
    with pytest.raises(ValueError, match="same questions"):
        seed_question_difference(np.zeros((2, 5)), np.zeros((2, 6)))


def test_the_mean_over_questions_of_one_run_has_the_t_interval():
    values = np.array([-1, 0, 0, 1, 1, 0, 1, -1, 1, 1.0])
    found = question_mean(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.value, found.low, found.high) == pytest.approx((values.mean(), expected.low, expected.high))
    assert found.n == 10
    with pytest.raises(ValueError, match="over questions"):
        question_mean([1.0])
