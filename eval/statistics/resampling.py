"""Resampling of questions and training seeds, many entries at once so that their pairing is kept."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_CELLS = 2_000_000
"""Weights that are held at the same time."""


def resampled_counts(units: int, resamples: int, generator: np.random.Generator) -> Iterator[Floats]:
    """How often each of `units` is drawn in a sample of as many with replacement, in chunks of shape (b, units)."""
    chunk = max(1, _CELLS // units)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = generator.integers(0, units, size=(rows, units))
        drawn += units * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)
