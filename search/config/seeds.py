"""Seeds for the parts of a search, all derived from the one seed of the configuration."""

from __future__ import annotations

from trainer.determinism import derived_seed


def screening_seeds(seed: int, count: int) -> list[int]:
    """Common to every screening of a search, so that scores of different rounds can be ranked together."""
    return [derived_seed(seed, "screening", number, bits=31) for number in range(count)]


def control_seeds(seed: int, count: int, replicates: int) -> list[int]:
    """Of the base rewards alone: those of every screening first, then further ones of the same kind."""
    return screening_seeds(seed, max(count, replicates))


def greedy_seeds(seed: int, count: int) -> list[int]:
    """Of the short runs of greedy selection: neither those that ranked the candidates nor those that retrain."""
    return [derived_seed(seed, "greedy", number, bits=31) for number in range(count)]


def retraining_seeds(seed: int, count: int) -> list[int]:
    """Fresh ones, common to every finalist."""
    return [derived_seed(seed, "retraining", number, bits=31) for number in range(count)]
