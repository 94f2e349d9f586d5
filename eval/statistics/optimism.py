"""How much too well the best of several looks on the questions that selected it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.statistics.bootstrap import RESAMPLES, percentile_bounds
from eval.statistics.estimate import Estimate
from eval.statistics.runs import RunTable, resampled_counts, run_table
from eval.statistics.seeds import seed_question_mean

Floats = NDArray[np.float64]


class SelectionOptimism(NamedTuple):
    """Figures of the entry with the highest accuracy, before and after a correction for having been selected."""

    name: str
    observed: float
    """Its accuracy on the questions that selected it."""
    optimism: float
    """Observed minus corrected."""
    corrected: Estimate
    """The accuracy to expect of what such a selection picks, on questions (and seeds, where those were
    drawn too) that it has not seen."""


def selection_optimism(
    correct: Mapping[str, ArrayLike], level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> SelectionOptimism:
    """Repeats the selection on resampled questions and scores what it picks on the questions left out.

    `correct` per entry of shape (N,) or (seeds, N). Of every bootstrap sample of questions the best entry is picked
    (the first of equal ones), and scored on the questions that were not drawn; the mean of these scores is the
    corrected accuracy, the middle `level` of them its interval (Tsamardinos, Greasidou and Borboudakis 2018, Mach.
    Learn. 107:1895-1922, algorithm 4). The trained policies are taken as given: the luck of their seeds is not in it.

    With equal entries the optimism is recovered without bias. Where they differ a little it is overstated, since a
    bootstrap sample tells them apart less well than the questions themselves, so the corrected accuracy errs on the
    safe side; the interval covers at least its level. Raises ValueError as `run_table` does.
    """
    table = run_table(correct)
    accuracy = table.accuracy
    scores = []
    for counts in resampled_counts(table.correct.shape[1], resamples, np.random.default_rng(seed)):
        drawn, left = _scores(table, counts)
        picked = table.by_entry(drawn).argmax(axis=1)
        scores.append(table.by_entry(left)[np.arange(len(left)), picked])
    found = np.concatenate(scores)
    found = found[np.isfinite(found)]
    low, high = percentile_bounds(found, level)
    corrected = Estimate(
        float(found.mean()), low, high, table.correct.shape[1], level, "bootstrap of the selection, out of bag"
    )
    return _optimism(table, accuracy, corrected)


def seed_selection_optimism(
    correct: Mapping[str, ArrayLike], level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> SelectionOptimism:
    """The same for new seeds as well as new questions; `correct` per entry of shape (seeds >= 2, N).

    Of every entry one run at random is left out too, and what is picked by the other runs is scored with it: the best
    of several also had luck with its seeds. The interval is the hull of two, since either alone covers too little
    somewhere: the middle `level` of the scores, and the interval of `seed_question_mean` for the selected entry moved
    by the optimism. It covers at least its level, and with three seeds or more clearly more. Raises ValueError as
    `run_table` does, or where an entry has a single run.
    """
    table = run_table(correct)
    if table.seeds.min() < 2:
        raise ValueError("leaving out a run needs at least two runs of every entry")
    accuracy, first_run = table.accuracy, np.searchsorted(table.owner, np.arange(len(table.names)))
    generator = np.random.default_rng(seed)
    scores = []
    for counts in resampled_counts(table.correct.shape[1], resamples, generator):
        drawn, left = _scores(table, counts)
        held_out = first_run + generator.integers(0, table.seeds, size=(len(counts), len(table.names)))
        others = table.by_entry(drawn) * table.seeds - np.take_along_axis(drawn, held_out, axis=1)
        picked = (others / (table.seeds - 1)).argmax(axis=1)
        rows = np.arange(len(left))
        scores.append(left[rows, held_out[rows, picked]])
    found = np.concatenate(scores)
    found = found[np.isfinite(found)]
    value, middle = float(found.mean()), percentile_bounds(found, level)
    own = seed_question_mean(table.correct[table.owner == int(accuracy.argmax())], level)
    corrected = Estimate(
        value,
        max(0.0, min(middle.low, own.low + value - own.value)),
        min(1.0, max(middle.high, own.high + value - own.value)),
        table.correct.shape[1],
        level,
        "selection with a run left out, out of bag",
    )
    return _optimism(table, accuracy, corrected)


def _scores(table: RunTable, counts: Floats) -> tuple[Floats, Floats]:
    """Right answers of every run to the drawn questions, and its accuracy on those left out (NaN without any); both of
    shape (b, R)."""
    left = (counts == 0).astype(np.float64)
    with np.errstate(invalid="ignore"):
        out_of_bag = (left @ table.correct.T) / left.sum(axis=1, keepdims=True)
    return counts @ table.correct.T, out_of_bag


def _optimism(table: RunTable, accuracy: Floats, corrected: Estimate) -> SelectionOptimism:
    best = int(accuracy.argmax())
    observed = float(accuracy[best])
    return SelectionOptimism(table.names[best], observed, observed - corrected.value, corrected)
