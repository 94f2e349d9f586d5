import numpy as np
import pytest

from eval.metrics import compute_metrics, f1_of_accuracy
from eval.report.scores import compare_runs, score_runs
from eval.statistics.estimate import wilson_interval
from eval.statistics.pairwise import mcnemar_p_values
from eval.statistics.seeds import seed_question_mean, summarise_seeds
from tests.eval.report.sample import simulated_runs


def test_no_runs_is_none():
    assert score_runs({}) is None
    assert score_runs({1: []}) is None


def test_one_seed_is_a_bootstrap_over_questions():
    runs = simulated_runs(0.6, (7,), 200)
    found, metrics = score_runs(runs), compute_metrics(runs[7]).strict
    assert found.accuracy.value == metrics.accuracy
    assert found.f1.value == pytest.approx(metrics.f1)
    assert found.accuracy.method == "BCa bootstrap"
    assert (found.n, found.seeds) == (200, (7,))
    expected = wilson_interval(metrics.correct, metrics.correct + metrics.wrong)
    assert (found.precision.low, found.precision.high) == (expected.low, expected.high)


def test_several_seeds_are_seeds_and_questions():
    runs = simulated_runs(0.6, (3, 1, 2), 200)
    found = score_runs(runs)
    table = np.array([[p.correct for p in runs[seed]] for seed in (1, 2, 3)])
    expected = seed_question_mean(table)
    assert found.seeds == (1, 2, 3)
    assert found.accuracy[:3] == pytest.approx(expected[:3])
    assert found.f1.low == pytest.approx(f1_of_accuracy(expected.low))


def test_precision_over_seeds_is_the_pooled_ratio_with_an_interval_of_about_the_right_width():
    runs = simulated_runs(0.6, (1, 2, 3, 4, 5, 6, 7, 8), 400)
    found = score_runs(runs)
    right = sum(p.correct for run in runs.values() for p in run)
    answered = sum(p.answered for run in runs.values() for p in run)
    assert found.precision.value == pytest.approx(right / answered)
    # Nearly all are answered, so it must be about as wide as that of accuracy, scaled up.
    ratio = (found.precision.high - found.precision.low) / (found.accuracy.high - found.accuracy.low)
    assert ratio == pytest.approx(found.precision.value / found.accuracy.value, rel=0.08)
    per_seed = summarise_seeds([compute_metrics(run).strict.precision for run in runs.values()])
    assert found.precision.value == pytest.approx(per_seed.mean, abs=0.002)


def test_shares_stay_within_0_and_1():
    for accuracy in (-3.0, 0.9, 3.0):
        found = score_runs(simulated_runs(accuracy, (1, 2), 40, spread=0.3))
        for figure in (found.accuracy, found.f1, found.extraction_rate):
            assert 0.0 <= figure.low <= figure.value <= figure.high <= 1.0


def test_nothing_answered_has_no_precision():
    runs = {
        seed: [p.model_copy(update={"strict": None, "correct": False}) for p in run]
        for seed, run in simulated_runs(0.6, (1, 2), 30).items()
    }
    assert score_runs(runs).precision is None
    assert score_runs({1: runs[1]}).precision is None


def test_runs_on_other_questions_are_refused():
    runs = simulated_runs(0.6, (1, 2), 30)
    runs[2] = runs[2][::-1]
    with pytest.raises(ValueError, match="different questions"):
        score_runs(runs)


def test_pairwise_compares_the_runs_of_the_smallest_seeds():
    first, second = simulated_runs(0.7, (5, 2), 300), simulated_runs(0.6, (9, 4), 300)
    table = compare_runs({"a": first, "b": second}, "test", margin=0.05)
    a, b = (np.array([p.correct for p in run]) for run in (first[2], second[4]))
    test = table.tests[0]
    assert (test.first_only, test.second_only) == (int((a & ~b).sum()), int((b & ~a).sum()))
    assert test.p_value == mcnemar_p_values(test.first_only, test.second_only)
    assert test.seeds_difference is not None
    assert 0 <= test.equivalence_p <= 1


def test_a_single_seed_has_no_difference_over_seeds():
    table = compare_runs({"a": simulated_runs(0.7, (1,), 50), "b": simulated_runs(0.6, (1, 2), 50)}, "validation")
    assert table.tests[0].seeds_difference is None
    assert table.tests[0].equivalence_p is None


def test_one_entry_has_nobody_to_be_compared_with():
    assert compare_runs({"a": simulated_runs(0.7, (1,), 50)}, "test") is None


def test_entries_on_other_questions_are_refused():
    with pytest.raises(ValueError, match="different questions"):
        compare_runs({"a": simulated_runs(0.7, (1,), 50), "b": simulated_runs(0.7, (1,), 40)}, "test")


def test_an_entry_without_runs_is_refused():
    with pytest.raises(ValueError, match="'b' has no runs"):
        compare_runs({"a": simulated_runs(0.7, (1,), 50), "b": {}}, "test")


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="'train'"):
        compare_runs({}, "train")
