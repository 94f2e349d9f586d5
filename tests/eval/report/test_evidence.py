"""What the base policy reaches by sampling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from eval.prediction import Prediction
from eval.report.data import BaseSamples
from eval.report.evidence import base_samples
from eval.statistics.concordance import mean_share


def sampled(right: Sequence[int], samples: Sequence[int]) -> BaseSamples:
    predictions = [
        Prediction(
            id=f"q{question}",
            completion="",
            strict="1",
            flexible="1",
            correct=k < hits,
            correct_flexible=k < hits,
            completion_tokens=1,
        )
        for question, (hits, drawn) in enumerate(zip(right, samples, strict=True))
        for k in range(drawn)
    ]
    found = base_samples(predictions, "train", 1.0)
    assert found is not None
    return found


def test_every_question_has_its_share() -> None:
    found = sampled([0, 3, 8], [8, 8, 8])
    assert [question.right / question.samples for question in found.questions] == [0, 3 / 8, 1]
    assert found.mass is not None
    assert found.mass.value == pytest.approx(11 / 24)
    assert (found.none_right.value, found.all_right.value) == (1 / 3, 1 / 3)


def test_mean_counts_questions_alike_whatever_their_samples() -> None:
    mass = sampled([1, 0], [2, 10]).mass
    assert mass is not None
    assert mass.value == pytest.approx(0.25)


def test_error_of_the_mean_is_that_over_questions() -> None:
    """Samples of one question hang together: 40 questions of 25 equal samples each are 40, not 1,000."""
    mass = sampled([25] * 22 + [0] * 18, [25] * 40).mass
    assert mass is not None
    error = np.std([1] * 22 + [0] * 18, ddof=1) / 40**0.5
    assert (mass.high - mass.low) / 2 == pytest.approx(2.02 * error, rel=0.05)
    assert mass.n == 40


@pytest.mark.parametrize("shape", [(0.8, 1.6), (0.2, 2.0)])
def test_coverage_of_the_mean(shape: tuple[float, float]) -> None:
    generator = np.random.default_rng(1)
    covered, repeats = 0, 300
    for _ in range(repeats):
        mass = mean_share((generator.binomial(8, generator.beta(*shape, size=100)) / 8).tolist())
        assert mass is not None
        covered += mass.low <= shape[0] / sum(shape) <= mass.high
    assert covered / repeats > 0.95 - 4 * (0.95 * 0.05 / repeats) ** 0.5
