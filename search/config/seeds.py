"""Seeds for the parts of a search, all derived from the one seed of the configuration."""

from __future__ import annotations

from trainer.determinism import derived_seed


def screening_seeds(seed: int, count: int) -> list[int]:
    """Common to every screening of a search, so that scores of different rounds can be ranked together; the base
    rewards alone may have further ones."""
    return [derived_seed(seed, "screening", number, bits=31) for number in range(count)]


def greedy_seeds(seed: int, count: int) -> list[int]:
    """Of the short runs of greedy selection: neither those that ranked the candidates nor those that retrain."""
    return [derived_seed(seed, "greedy", number, bits=31) for number in range(count)]


def retraining_seeds(seed: int, count: int) -> list[int]:
    """Fresh ones, common to every finalist; the base rewards alone may have further ones."""
    return [derived_seed(seed, "retraining", number, bits=31) for number in range(count)]
