"""Questions and seeds as two sources of chance, against statsmodels, by hand, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from eval.statistics.luck import (
    detectable_for_both,
    difference_for_both,
    interval_of_deviation,
    mean_for_both,
    pooled_seed_variance,
)
from eval.statistics.seeds import mean_squares

Floats = NDArray[np.float64]


def runs(rng: np.random.Generator, difficulty: Floats, shift: float, seeds: int, deviation: float) -> Floats:
    """Answers of `seeds` policies of one recipe; logits, on which a step of 1 is about 0.19 of accuracy."""
    logits = difficulty + shift + rng.normal(0, deviation / 0.19, (seeds, 1))
    return (rng.random((seeds, difficulty.size)) < 1 / (1 + np.exp(-logits))).astype(float)


def test_the_variance_is_that_of_a_mixed_model_with_random_runs_and_questions() -> None:
    """REML of statsmodels, of one recipe with crossed random effects."""
    import pandas
    from statsmodels.regression.mixed_linear_model import MixedLM

    rng = np.random.default_rng(1)
    seeds, questions = 6, 40
    table = rng.normal(0, 0.3, (seeds, 1)) + rng.normal(0, 0.5, questions) + rng.normal(0, 0.4, (seeds, questions))
    rows = [(s, q, table[s, q]) for s in range(seeds) for q in range(questions)]
    data = pandas.DataFrame(rows, columns=["seed", "question", "value"]).assign(all=1)
    model = MixedLM.from_formula(
        "value ~ 1",
        groups="all",
        re_formula="0",
        vc_formula={"seed": "0 + C(seed)", "question": "0 + C(question)"},
        data=data,
    )
    fitted = model.fit(reml=True)
    found = pooled_seed_variance([table])
    assert found is not None
    by_name = dict(zip(fitted.model.exog_vc.names, fitted.vcomp, strict=True))
    assert found.variance == pytest.approx(by_name["seed"], rel=0.02)
    assert found.rest == pytest.approx(fitted.scale, rel=0.02)
    assert (found.freedom, found.recipes, found.runs) == (5, 1, 6)


def test_recipes_are_pooled_by_their_degrees_of_freedom() -> None:
    rng = np.random.default_rng(2)
    difficulty = rng.normal(0, 1, 100)
    tables = [runs(rng, difficulty, 0.0, count, 0.1) for count in (2, 4, 1)]
    found = pooled_seed_variance(tables)
    assert found is not None
    parts = [(mean_squares(table).seed - mean_squares(table).rest) / 100 for table in tables[:2]]
    assert found.variance == pytest.approx((parts[0] + 3 * parts[1]) / 4)
    assert (found.freedom, found.recipes, found.runs) == (4, 2, 6)


def test_nothing_is_known_where_nothing_was_run_twice() -> None:
    assert pooled_seed_variance([]) is None
    assert pooled_seed_variance([np.ones((1, 50)), np.ones((3, 1))]) is None


def test_of_many_runs_the_interval_is_that_of_student_over_runs_and_questions() -> None:
    """With the recipe's own runs alone as the pool, and hardly any luck of questions, it is t over the run means."""
    from scipy.stats import t

    rng = np.random.default_rng(3)
    table = np.repeat(rng.normal(0.5, 0.1, (5, 1)), 4000, axis=1) + rng.normal(0, 0.01, (5, 4000))
    luck = pooled_seed_variance([table])
    assert luck is not None
    estimate, halves = mean_for_both(table, luck)
    means = table.mean(axis=1)
    expected = t.ppf(0.975, 4) * means.std(ddof=1) / 5**0.5
    assert halves.seeds == pytest.approx(expected, rel=1e-6)
    assert estimate.high - estimate.value == pytest.approx(expected, rel=0.01)
    bounds = interval_of_deviation(luck)
    assert bounds.low < luck.deviation < bounds.high


def test_more_seeds_shrink_one_half_and_more_questions_the_other() -> None:
    rng = np.random.default_rng(4)
    luck = pooled_seed_variance([runs(rng, rng.normal(0, 1, 400), 0.0, 6, 0.1)])
    assert luck is not None
    difficulty = rng.normal(0, 1, 800)
    one = mean_for_both(runs(rng, difficulty[:200], 0.0, 1, 0.1), luck)[1]
    more_seeds = mean_for_both(runs(rng, difficulty[:200], 0.0, 4, 0.1), luck)[1]
    more_questions = mean_for_both(runs(rng, difficulty, 0.0, 1, 0.1), luck)[1]
    assert more_seeds.seeds == pytest.approx(one.seeds / 2)
    assert more_questions.seeds == one.seeds
    assert more_questions.questions < 0.7 * one.questions


def test_answers_that_are_all_alike_are_not_certain() -> None:
    luck = pooled_seed_variance([np.ones((3, 100))])
    assert luck is not None
    estimate, _ = mean_for_both(np.ones((1, 100)), luck)
    assert estimate.low < 1.0
    difference = difference_for_both(np.ones((1, 100)), np.ones((1, 100)), luck)
    assert difference.estimate.value == 0
    assert difference.p_value == 1.0


def test_p_values_and_intervals_agree() -> None:
    rng = np.random.default_rng(5)
    difficulty = rng.normal(0, 1, 200)
    control = runs(rng, difficulty, 0.0, 3, 0.05)
    luck = pooled_seed_variance([control])
    assert luck is not None
    for shift in (0.0, 0.5, 1.0, 2.0, 4.0):
        other = runs(rng, difficulty, shift, 2, 0.05)
        p_value = difference_for_both(other, control, luck).p_value
        if 0.0 < p_value < 1.0:
            ends_at_zero = difference_for_both(other, control, luck, level=1 - p_value).estimate
            assert min(abs(ends_at_zero.low), abs(ends_at_zero.high)) == pytest.approx(0.0, abs=1e-4)
        estimate = difference_for_both(other, control, luck).estimate
        assert (p_value <= 0.05) == (estimate.low > 0 or estimate.high < 0)


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    luck = pooled_seed_variance([np.eye(3)])
    assert luck is not None
    with pytest.raises(ValueError, match="same questions"):
        difference_for_both(np.ones((1, 5)), np.ones((1, 6)), luck)
    with pytest.raises(ValueError, match="S >= 1"):
        mean_for_both(np.ones((1, 1)), luck)


@pytest.mark.parametrize(("seeds", "replicates"), [(1, 3), (2, 3), (1, 5)])
def test_intervals_cover_and_claims_are_rare_where_there_is_nothing(seeds: int, replicates: int) -> None:
    """400 searches of nine recipes, 200 questions, a deviation between seeds of 0.09 as measured: nominal 95 %."""
    rng = np.random.default_rng(6)
    covered = claimed = 0
    draws = rng.normal(0, 1, 20_000) * 1.2 + rng.normal(0, 0.09 / 0.19, 20_000)
    truth = float(np.mean(1 / (1 + np.exp(-draws))))
    for _ in range(400):
        difficulty = rng.normal(0, 1.2, 200)
        control = runs(rng, difficulty, 0.0, replicates, 0.09)
        others = [runs(rng, difficulty, 0.0, seeds, 0.09) for _ in range(9)]
        luck = pooled_seed_variance([control, *others])
        assert luck is not None
        estimate, _ = mean_for_both(others[0], luck)
        covered += estimate.low <= truth <= estimate.high
        claimed += difference_for_both(others[0], control, luck).p_value <= 0.05
    assert 0.92 <= covered / 400 <= 0.985
    assert claimed / 400 <= 0.08


def test_the_detectable_difference_is_that_of_statsmodels_where_only_seeds_count() -> None:
    """Two groups of eight runs, hardly any luck of questions: the power of a t test with 14 degrees of freedom."""
    from statsmodels.stats.power import TTestIndPower

    found = detectable_for_both(10**9, (8, 8), 14, 0.09, 0.3)
    assert found == pytest.approx(0.09 * TTestIndPower().solve_power(nobs1=8, alpha=0.05, power=0.8), rel=1e-3)


def test_more_runs_and_more_questions_show_smaller_differences() -> None:
    plain = detectable_for_both(200, (1, 3), 4, 0.09, 0.3)
    assert detectable_for_both(200, (2, 3), 4, 0.09, 0.3) < plain
    assert detectable_for_both(800, (1, 3), 40, 0.09, 0.3) < detectable_for_both(200, (1, 3), 40, 0.09, 0.3)
    assert detectable_for_both(200, (1, 3), 9, 0.09, 0.3) < plain
    with pytest.raises(ValueError, match="one degree of freedom"):
        detectable_for_both(200, (1, 1), 0, 0.09, 0.3)
