"""Figures of answers given in two passes, named as in multi-layer GRPO (arXiv 2506.04746)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from eval.prediction import Prediction
from eval.statistics.estimate import Estimate, wilson_interval
from eval.statistics.paired import paired_difference


class TwoTurnFigures(NamedTuple):
    """Of one evaluation in two passes over `first.n` questions. All are shares of all questions."""

    first: Estimate
    """Acc@t1: the first answer is right. Wilson's interval, as for the other shares."""
    second: Estimate
    """Acc@t2: the second answer is right. Of the untrained policy it is Acc@t1'."""
    delta: Estimate
    """Acc@t2 minus Acc@t1, with Tango's interval for paired proportions."""
    corrected: Estimate
    """Incorrect to correct: only the second answer is right."""
    regressed: Estimate
    """Correct to incorrect: only the first answer is right."""


def two_turn_figures(predictions: Sequence[Prediction], level: float = 0.95) -> TwoTurnFigures | None:
    """Of predictions made in two passes; None where there are none.

    Raises ValueError for predictions of one pass.
    """
    if not predictions:
        return None
    first, second = [], []
    for prediction in predictions:
        if prediction.earlier is None:
            raise ValueError(f"the prediction of {prediction.id} was made in one pass")
        first.append(prediction.earlier.correct)
        second.append(prediction.correct)
    return figures_of(first, second, level)


def figures_of(first: Sequence[bool], second: Sequence[bool], level: float = 0.95) -> TwoTurnFigures:
    """Of which first and which second answers are right, question by question; at least one question."""
    n = len(first)
    before, after = np.array(first, dtype=bool), np.array(second, dtype=bool)

    def share(hits: int) -> Estimate:
        return wilson_interval(hits, n, level)

    return TwoTurnFigures(
        first=share(int(before.sum())),
        second=share(int(after.sum())),
        delta=paired_difference(after, before, level),
        corrected=share(int((~before & after).sum())),
        regressed=share(int((before & ~after).sum())),
    )
