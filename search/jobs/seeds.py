"""Seeds for the parts of a search, all derived from the one seed of the configuration."""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, *purpose: object) -> int:
    """A seed in [0, 2^31), a function of the arguments alone; different purposes get unrelated seeds."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def screening_seeds(seed: int, count: int) -> list[int]:
    """Common to every screening of a search, so that scores of different rounds can be ranked together."""
    return [derive_seed(seed, "screening", number) for number in range(count)]


def greedy_seeds(seed: int, count: int) -> list[int]:
    """Of the short runs of greedy selection: neither those that ranked the candidates nor those that retrain."""
    return [derive_seed(seed, "greedy", number) for number in range(count)]


def retraining_seeds(seed: int, count: int) -> list[int]:
    """Fresh ones, common to every finalist."""
    return [derive_seed(seed, "retraining", number) for number in range(count)]
