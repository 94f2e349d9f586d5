import numpy as np
import pytest

from eval.statistics.optimism import seed_selection_optimism, selection_optimism
from eval.statistics.seeds import seed_question_mean
from tests.eval.statistics.simulated import simulated_answers


def test_agrees_with_the_selection_repeated_step_by_step():
    answers, _, _ = simulated_answers(np.random.default_rng(0), [0.2, 0.25, 0.3, 0.3], 1, 60)
    table = np.array([run[0] for run in answers.values()])
    generator = np.random.default_rng(1)
    scores = []
    for _ in range(3000):
        drawn = generator.integers(0, 60, 60)
        left = np.setdiff1d(np.arange(60), drawn)
        scores.append(table[table[:, drawn].mean(axis=1).argmax(), left].mean())
    found = selection_optimism(answers, resamples=3000)
    assert found.corrected.value == pytest.approx(np.mean(scores), abs=0.008)
    assert (found.corrected.low, found.corrected.high) == pytest.approx(np.quantile(scores, [0.025, 0.975]), abs=0.03)
    assert found.observed == table.mean(axis=1).max()
    assert found.optimism == pytest.approx(found.observed - found.corrected.value)


def test_seeds_agree_with_the_selection_repeated_step_by_step():
    answers, _, _ = simulated_answers(np.random.default_rng(2), [0.2, 0.25, 0.3], 3, 50, seed_spread=0.3)
    table = np.array(list(answers.values()))
    generator = np.random.default_rng(3)
    scores = []
    for _ in range(3000):
        drawn = generator.integers(0, 50, 50)
        left = np.setdiff1d(np.arange(50), drawn)
        out = generator.integers(0, 3, 3)
        others = [np.delete(table[k], out[k], axis=0)[:, drawn].mean() for k in range(3)]
        picked = int(np.argmax(others))
        scores.append(table[picked, out[picked], left].mean())
    assert seed_selection_optimism(answers, resamples=3000).corrected.value == pytest.approx(np.mean(scores), abs=0.008)


def test_a_selection_that_cannot_go_wrong_is_not_optimistic():
    right = np.random.default_rng(4).random((2, 200)) < 0.8
    answers = {"good": right, "bad": np.zeros((2, 200), dtype=bool)}
    found = selection_optimism(answers)
    assert found.name == "good"
    assert abs(found.optimism) < 0.002
    assert found.corrected.low < right.mean() < found.corrected.high
    over_seeds = seed_selection_optimism(answers)
    assert abs(over_seeds.optimism) < 0.002
    expected = seed_question_mean(right)
    assert over_seeds.corrected.low <= expected.low + 0.002
    assert over_seeds.corrected.high >= min(1.0, expected.high) - 0.002


@pytest.mark.parametrize(("entries", "questions"), [(7, 100), pytest.param(50, 1319, marks=pytest.mark.slow)])
def test_recovers_the_optimism_of_the_best_of_equals(entries, questions):
    """Planted truth: all alike, so whatever leads is ahead by luck alone."""
    generator = np.random.default_rng(entries)
    true_optimism, found, covered = [], [], 0
    repeats = 150
    for _ in range(repeats):
        answers, true, _ = simulated_answers(generator, np.full(entries, 0.4), 1, questions)
        optimism = selection_optimism(answers, resamples=150)
        found.append(optimism.optimism)
        true_optimism.append(optimism.observed - true[0])
        covered += optimism.corrected.low <= true[0] <= optimism.corrected.high
    error = np.std(np.subtract(found, true_optimism)) / repeats**0.5
    assert np.mean(true_optimism) > 0.02
    assert abs(np.mean(found) - np.mean(true_optimism)) < 4 * error
    assert covered / repeats > 0.95 - 4 * (0.95 * 0.05 / repeats) ** 0.5


@pytest.mark.parametrize("seeds", [2, 3, pytest.param(10, marks=pytest.mark.slow)])
def test_recovers_the_luck_of_seeds_as_well(seeds):
    """All alike again, but here the seeds make the leader: resampling questions alone misses most of it."""
    generator = np.random.default_rng(seeds)
    true_optimism, found, questions_only, covered = [], [], [], 0
    repeats = 100
    for _ in range(repeats):
        answers, true, _ = simulated_answers(generator, np.full(7, 0.4), seeds, 100, seed_spread=0.5)
        optimism = seed_selection_optimism(answers, resamples=100)
        found.append(optimism.optimism)
        true_optimism.append(optimism.observed - true[0])
        questions_only.append(selection_optimism(answers, resamples=50).optimism)
        covered += optimism.corrected.low <= true[0] <= optimism.corrected.high
    error = np.std(np.subtract(found, true_optimism)) / repeats**0.5
    assert abs(np.mean(found) - np.mean(true_optimism)) < 4 * error
    assert np.mean(questions_only) < 0.5 * np.mean(true_optimism)
    assert covered / repeats > 0.95 - 4 * (0.95 * 0.05 / repeats) ** 0.5


def test_a_single_run_has_no_luck_of_seeds_to_tell():
    with pytest.raises(ValueError, match="two runs"):
        seed_selection_optimism({"a": np.ones((1, 5)), "b": np.ones((2, 5))})


def test_two_questions_are_enough_to_leave_one_out():
    found = selection_optimism({"a": [1, 0], "b": [0, 1]})
    assert 0 <= found.corrected.low <= found.corrected.value <= found.corrected.high <= 1
