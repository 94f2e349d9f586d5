"""From predictions to the figures that a report shows: every one with its interval, n and seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.metrics import compute_metrics, f1_of_accuracy
from eval.prediction import Prediction
from eval.report.data import PairwiseTable, PairwiseTest, Scores
from eval.statistics.bootstrap import bootstrap_accuracy, bootstrap_f1
from eval.statistics.equivalence import equivalence_p_values
from eval.statistics.estimate import Estimate
from eval.statistics.pairwise import compare_all
from eval.statistics.seeds import seed_question_difference, seed_question_mean
from eval.statistics.wilson import wilson_interval

Runs = Mapping[int, Sequence[Prediction]]
"""Predictions by training seed; every seed answered the same questions in the same order."""


def score_runs(runs: Runs, level: float = 0.95) -> Scores | None:
    """Figures of one configuration on one split; None where there are no runs or no questions.

    One seed: BCa bootstrap over questions for accuracy and F1, Wilson for the other shares. Several seeds: two-way
    random effects over seeds and questions, F1 as the image of accuracy. Raises ValueError where the runs answered
    different questions.
    """
    seeds = tuple(sorted(runs))
    if not seeds or not runs[seeds[0]]:
        return None
    _require_same_questions(runs.values())
    metrics = [compute_metrics(runs[seed]) for seed in seeds]
    n = metrics[0].n
    lengths = [m.mean_completion_tokens for m in metrics if m.mean_completion_tokens is not None]
    right = _table(runs, "correct")
    right_flexible = _table(runs, "correct_flexible")
    answered = _table(runs, "answered")
    if len(seeds) == 1:
        strict = metrics[0].strict
        attempted = strict.correct + strict.wrong
        return Scores(
            n=n,
            seeds=seeds,
            accuracy=bootstrap_accuracy(right[0], level=level),
            f1=bootstrap_f1(right[0], level=level),
            precision=wilson_interval(strict.correct, attempted, level) if attempted else None,
            extraction_rate=wilson_interval(attempted, n, level),
            accuracy_flexible=bootstrap_accuracy(right_flexible[0], level=level),
            f1_flexible=bootstrap_f1(right_flexible[0], level=level),
            mean_completion_tokens=lengths[0],
        )
    accuracy, flexible = _share(right, level), _share(right_flexible, level)
    return Scores(
        n=n,
        seeds=seeds,
        accuracy=accuracy,
        f1=_as_f1(accuracy),
        precision=_ratio(right, answered, level),
        extraction_rate=_share(answered, level),
        accuracy_flexible=flexible,
        f1_flexible=_as_f1(flexible),
        mean_completion_tokens=sum(lengths) / len(lengths),
    )


def compare_runs(
    entries: Mapping[str, Runs],
    split: str,
    margin: float | None = None,
    alpha: float = 0.05,
    pairs: Sequence[tuple[str, str]] | None = None,
) -> PairwiseTable | None:
    """Every entry against every other (or the declared `pairs`), one family; None with fewer than two entries.

    McNemar's test compares one run of each, that of its smallest seed. Where both have several seeds the difference
    over all of them is given as well: McNemar speaks of two trained policies, that one of two rewards.
    """
    if split not in ("validation", "test"):
        raise ValueError(f"split must be validation or test, not {split!r}")
    if len(entries) < 2:
        return None
    for name, runs in entries.items():
        if not runs:
            raise ValueError(f"{name!r} has no runs to compare")
    _require_same_questions(run for runs in entries.values() for run in runs.values())
    tables = {name: _table(runs, "correct") for name, runs in entries.items()}
    comparisons = compare_all({name: table[0] for name, table in tables.items()}, level=1 - alpha, pairs=pairs)
    tests = []
    for comparison in comparisons:
        first, second = tables[comparison.first], tables[comparison.second]
        over_seeds = None
        if min(len(first), len(second), first.shape[1]) >= 2:
            over_seeds = seed_question_difference(first, second, level=1 - alpha)
        equivalence = None
        if margin is not None:
            equivalence = float(
                equivalence_p_values(comparison.first_only, comparison.second_only, comparison.difference.n, margin)
            )
        tests.append(
            PairwiseTest(
                first=comparison.first,
                second=comparison.second,
                first_only=comparison.first_only,
                second_only=comparison.second_only,
                difference=comparison.difference,
                p_value=comparison.p_value,
                method=comparison.method,
                bonferroni=comparison.bonferroni,
                holm=comparison.holm,
                equivalence_p=equivalence,
                seeds_difference=over_seeds.estimate if over_seeds else None,
                seeds_p=over_seeds.p_value if over_seeds else None,
            )
        )
    return PairwiseTable(
        split="test" if split == "test" else "validation", tests=tuple(tests), level=alpha, margin=margin
    )


def _require_same_questions(runs: Iterable[Sequence[Prediction]]) -> None:
    asked = {tuple(prediction.id for prediction in predictions) for predictions in runs}
    if len(asked) > 1:
        raise ValueError("the runs to be compared answered different questions, or in a different order")


def _table(runs: Runs, attribute: str) -> NDArray[np.bool_]:
    """Shape (seeds, questions), seeds ascending."""
    return np.array([[getattr(p, attribute) for p in runs[seed]] for seed in sorted(runs)], dtype=bool)


def _share(table: NDArray[np.bool_], level: float) -> Estimate:
    if table.shape[1] == 1:
        return wilson_interval(int(table[0, 0]), 1, level)
    estimate = seed_question_mean(table, level)
    return estimate._replace(low=max(0.0, estimate.low), high=min(1.0, estimate.high))


def _as_f1(accuracy: Estimate) -> Estimate:
    return accuracy._replace(
        value=f1_of_accuracy(accuracy.value), low=f1_of_accuracy(accuracy.low), high=f1_of_accuracy(accuracy.high)
    )


def _ratio(right: NDArray[np.bool_], answered: NDArray[np.bool_], level: float) -> Estimate | None:
    """Right over answered, its interval from the linearised ratio (Cochran 1977, Sampling Techniques, ch. 6)."""
    if not answered.any() or right.shape[1] == 1:
        return None
    ratio = float(right.sum() / answered.sum())
    if ratio in (0.0, 1.0):
        return wilson_interval(int(right.sum() / len(right)), max(1, round(answered.sum() / len(right))), level)
    residual = (right - ratio * answered) / answered.mean()
    spread = seed_question_mean(residual, level)
    return spread._replace(value=ratio, low=max(0.0, ratio + spread.low), high=min(1.0, ratio + spread.high))
