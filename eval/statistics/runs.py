"""Answers of several entries, each trained with one or more seeds, to the same questions, as one table of runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_CELLS = 2_000_000
"""Weights of resampled questions that are held at the same time."""


class RunTable(NamedTuple):
    """`correct` has one row per run, shape (R, N); `owner`, shape (R,), is the place in `names` of a run's entry."""

    names: tuple[str, ...]
    correct: Floats
    owner: NDArray[np.int64]

    @property
    def seeds(self) -> NDArray[np.int64]:
        """Runs of each entry, shape (K,)."""
        return np.bincount(self.owner, minlength=len(self.names))

    @property
    def accuracy(self) -> Floats:
        """Of each entry over its runs, shape (K,)."""
        accuracy: Floats = self.by_entry(self.correct.sum(axis=1)) / self.correct.shape[1]
        return accuracy

    def by_entry(self, of_runs: Floats) -> Floats:
        """Means over the runs of each entry: shape (..., R) to (..., K)."""
        member = (self.owner[:, None] == np.arange(len(self.names))).astype(np.float64)
        # Divided last: sums of whole numbers are exact, so that equal entries stay equal.
        means: Floats = of_runs @ member / self.seeds
        return means


def run_table(correct: Mapping[str, ArrayLike]) -> RunTable:
    """`correct`: per entry whether each question was answered rightly, shape (N,) or (seeds, N), in one order.

    Raises ValueError with fewer than two entries or questions, or where the entries answered different questions.
    """
    tables: list[NDArray[Any]] = [np.atleast_2d(np.asarray(answers, dtype=np.float64)) for answers in correct.values()]
    if len(tables) < 2:
        raise ValueError(f"a ranking needs at least two entries, not {len(tables)}")
    if any(table.ndim != 2 for table in tables) or len({table.shape[1] for table in tables}) > 1:
        raise ValueError("every entry must have answered the same questions in the same order")
    if tables[0].shape[1] < 2 or min(len(table) for table in tables) < 1:
        raise ValueError("a ranking needs at least two questions and one run of every entry")
    owner = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    return RunTable(tuple(correct), np.concatenate(tables), owner)


def resampled_counts(units: int, resamples: int, generator: np.random.Generator) -> Iterator[Floats]:
    """How often each of `units` is drawn in a sample of as many with replacement, in chunks of shape (b, units)."""
    chunk = max(1, _CELLS // units)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = generator.integers(0, units, size=(rows, units))
        drawn += units * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)
