import numpy as np
import pytest

from eval.statistics.base_mass import base_mass
from eval.statistics.wilson import wilson_interval


def test_every_question_has_its_share_with_wilsons_interval():
    found = base_mass([0, 3, 8], [8, 8, 8])
    assert [question.value for question in found.questions] == [0, 3 / 8, 1]
    assert found.questions[1] == wilson_interval(3, 8)
    assert found.mean.value == pytest.approx(11 / 24)
    assert (found.none_right.value, found.all_right.value) == (1 / 3, 1 / 3)


def test_mean_counts_questions_alike_whatever_their_samples():
    assert base_mass([1, 0], [2, 10]).mean.value == pytest.approx(0.25)


def test_error_of_the_mean_is_that_over_questions():
    """Samples of one question hang together: 40 questions of 25 equal samples each are 40, not 1,000."""
    right = [25] * 22 + [0] * 18
    found = base_mass(right, [25] * 40)
    error = np.std([1] * 22 + [0] * 18, ddof=1) / 40**0.5
    assert (found.mean.high - found.mean.low) / 2 == pytest.approx(2.02 * error, rel=0.05)
    assert found.mean.n == 40


@pytest.mark.parametrize("mass", [(0.8, 1.6), (0.2, 2.0)])
def test_coverage_of_the_mean(mass):
    generator = np.random.default_rng(1)
    covered, repeats = 0, 300
    for _ in range(repeats):
        found = base_mass(generator.binomial(8, generator.beta(*mass, size=100)).tolist(), [8] * 100).mean
        covered += found.low <= mass[0] / sum(mass) <= found.high
    assert covered / repeats > 0.95 - 4 * (0.95 * 0.05 / repeats) ** 0.5


@pytest.mark.parametrize(("right", "samples"), [([], []), ([1], [1, 2]), ([3], [2]), ([0], [0])])
def test_impossible_counts_are_refused(right, samples):
    with pytest.raises(ValueError, match=r"belong together|not a proportion"):
        base_mass(right, samples)
