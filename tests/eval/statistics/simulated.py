"""Answers of simulated policies to shared questions, with their true accuracies known."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm


def simulated_answers(
    generator: np.random.Generator, levels: ArrayLike, seeds: int, questions: int, seed_spread: float = 0.0
) -> tuple[dict[str, NDArray[np.bool_]], NDArray[np.float64], NDArray[np.float64]]:
    """Right where level + luck of the seed + ease of the question + noise is positive: pairs are correlated through
    the questions.

    Returns the answers by entry, of shape (seeds, questions), the true accuracy of every entry over seeds and
    questions, shape (K,), and that of every trained policy over questions, shape (K, seeds).
    """
    level = np.asarray(levels, dtype=np.float64)
    ease = generator.standard_normal(questions)
    luck = seed_spread * generator.standard_normal((len(level), seeds))
    latent = (level[:, None] + luck)[:, :, None] + ease + generator.standard_normal((len(level), seeds, questions))
    true = norm.cdf(level / (2 + seed_spread**2) ** 0.5)
    trained = norm.cdf((level[:, None] + luck) / 2**0.5)
    return {f"entry {k}": latent[k] > 0 for k in range(len(level))}, true, trained
