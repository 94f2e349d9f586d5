"""From predictions to the figures that a report shows: every one with its interval, n and seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.metrics import compute_metrics, f1_of_accuracy
from eval.prediction import Prediction
from eval.report.data import PairwiseTable, PairwiseTest, Scores
from eval.statistics.bootstrap import bootstrap_accuracy, bootstrap_f1
from eval.statistics.estimate import Estimate, wilson_interval
from eval.statistics.luck import SeedVariance, difference_for_both, mean_for_both
from eval.statistics.paired import equivalence_p_values, smallest_detectable_difference
from eval.statistics.pairwise import adjust_p_values, cochran_q, compare_all
from eval.statistics.seeds import SeedDifference, seed_question_difference, seed_question_mean, summarise_seeds
from eval.statistics.unpaired import unpaired_difference
from rewards_generated.errors import UserError

Runs = Mapping[int, Sequence[Prediction]]
"""Predictions by training seed; every seed answered the same questions in the same order."""


class Answers(NamedTuple):
    """How one configuration answered a set of questions; tables of shape (seeds, questions), seeds ascending."""

    seeds: tuple[int, ...]
    correct: NDArray[np.bool_]
    answered: NDArray[np.bool_] | None = None
    """None: not known, and then precision and extraction are not either."""
    correct_flexible: NDArray[np.bool_] | None = None
    answered_flexible: NDArray[np.bool_] | None = None


POWER = 0.8
"""Of the tests whose smallest detectable difference is told."""


def score_runs(
    runs: Runs, level: float = 0.95, luck: SeedVariance | None = None, *, trained: bool = True
) -> Scores | None:
    """Figures of one configuration on one split; None where there are no runs or no questions. See `score_answers`.

    Raises ValueError where the runs answered different questions.
    """
    seeds = tuple(sorted(runs))
    if not seeds or not runs[seeds[0]]:
        return None
    _require_same_questions(runs.values())
    lengths = [compute_metrics(runs[seed]).mean_completion_tokens or 0.0 for seed in seeds]
    answers = Answers(
        seeds,
        correct_table(runs),
        _table(runs, "answered"),
        correct_flexible=_table(runs, "correct_flexible"),
        answered_flexible=np.array([[p.flexible is not None for p in runs[seed]] for seed in seeds], dtype=bool),
    )
    scores = score_answers(answers, level, luck if trained else None)
    found: dict[str, object] = {"mean_completion_tokens": sum(lengths) / len(lengths)}
    return scores.model_copy(update=found if trained else {**found, "luck": "untrained"})


def score_answers(answers: Answers, level: float = 0.95, luck: SeedVariance | None = None) -> Scores:
    """Figures of one configuration on at least one question.

    `luck`: how runs of one recipe differ; with it accuracy and F1 hold new questions and new seeds, whatever the
    number of runs. Without, one seed: BCa bootstrap over questions for accuracy and F1; several: two-way random
    effects over seeds and questions. F1 is the image of accuracy; other shares of one seed are Wilson's. What was not
    measured is None.
    """
    right, answered, flexible = answers.correct, answers.answered, answers.correct_flexible
    accuracy, f1 = _accuracy(right, level)
    halves = None
    if luck is not None and right.shape[1] > 1:
        both, halves = mean_for_both(right, luck, level)
        accuracy = both._replace(low=max(0.0, both.low), high=min(1.0, both.high))
        f1 = _as_f1(accuracy)
    accuracy_flexible, f1_flexible = (None, None) if flexible is None else _accuracy(flexible, level)
    precision, extraction_rate = _attempts(right, answered, level)
    precision_flexible, extraction_rate_flexible = _attempts(flexible, answers.answered_flexible, level)
    by_seed = right.mean(axis=1)
    return Scores(
        n=right.shape[1],
        seeds=answers.seeds,
        accuracy=accuracy,
        f1=f1,
        precision=precision,
        extraction_rate=extraction_rate,
        accuracy_flexible=accuracy_flexible,
        f1_flexible=f1_flexible,
        precision_flexible=precision_flexible,
        extraction_rate_flexible=extraction_rate_flexible,
        accuracy_by_seed=tuple(by_seed.tolist()),
        accuracy_seed_std=summarise_seeds(by_seed.tolist(), level).std,
        luck="both" if halves or len(right) > 1 else "questions",
        accuracy_halves=halves,
    )


def validation_minus_test(validation: Runs, test: Runs, level: float = 0.95) -> Estimate | None:
    """Difference in accuracy of the same trained policies; None where either has no runs or their seeds differ."""
    if not validation or set(validation) != set(test):
        return None
    return unpaired_difference(correct_table(validation), correct_table(test), level)


def compare_runs(
    entries: Mapping[str, Runs],
    split: str,
    margin: float | None = None,
    alpha: float = 0.05,
    families: Mapping[str, Sequence[tuple[str, str]]] | None = None,
    cochran_over: Sequence[str] | None = None,
    luck: SeedVariance | None = None,
) -> PairwiseTable | None:
    """Every entry against every other, one family; None with fewer than two entries.

    `families`: declared pairs by the name of their family instead, each corrected by itself. `cochran_over`: entries of
    Cochran's Q; None: all. See `compare_answers`.
    """
    if split not in ("validation", "test"):
        raise ValueError(f"split must be validation or test, not {split!r}")
    if len(entries) < 2:
        return None
    for name, runs in entries.items():
        if not runs:
            raise ValueError(f"{name!r} has no runs to compare")
    _require_same_questions(run for runs in entries.values() for run in runs.values())
    correct = {name: correct_table(runs) for name, runs in entries.items()}
    if families is None:
        tests = compare_answers(correct, margin, alpha, luck=luck)
    else:
        tests = tuple(
            test.model_copy(update={"family": family})
            for family, declared in families.items()
            for test in compare_answers(correct, margin, alpha, declared, luck)
        )
    over = tuple(correct) if cochran_over is None else tuple(cochran_over)
    return PairwiseTable(
        split="test" if split == "test" else "validation",
        tests=tests,
        level=alpha,
        margin=margin,
        cochran=cochran_q([correct[name][0].tolist() for name in over]) if len(over) > 1 else None,
        cochran_over=over if len(over) > 1 else (),
    )


def compare_answers(
    correct: Mapping[str, NDArray[np.bool_]],
    margin: float | None = None,
    alpha: float = 0.05,
    pairs: Sequence[tuple[str, str]] | None = None,
    luck: SeedVariance | None = None,
) -> tuple[PairwiseTest, ...]:
    """One family of pairwise tests; `correct` per entry of shape (seeds, questions), seeds ascending, questions in
    one order.

    McNemar's test compares one run of each, that of its smallest seed. Where both have several seeds, or `luck` says
    how runs of one recipe differ, the difference over seeds is given as well: McNemar speaks of two trained policies,
    that one of two rewards.
    """
    tests = []
    for comparison in compare_all({name: table[0] for name, table in correct.items()}, 1 - alpha, pairs):
        first, second = correct[comparison.first], correct[comparison.second]
        b, c, n = comparison.first_only, comparison.second_only, comparison.difference.n
        over_seeds = difference_over_seeds(first, second, luck, 1 - alpha)
        tests.append(
            PairwiseTest(
                **comparison._asdict(),
                equivalence_p=None if margin is None else float(equivalence_p_values(b, c, n, margin)),
                seeds_difference=over_seeds.estimate if over_seeds else None,
                seeds_p=over_seeds.p_value if over_seeds else None,
                detectable_difference=smallest_detectable_difference(n, (b + c) / n, POWER, alpha) if b + c else None,
            )
        )
    if tests and all(test.seeds_p is not None for test in tests):
        corrected = adjust_p_values([test.seeds_p for test in tests if test.seeds_p is not None], "holm")
        tests = [test.model_copy(update={"seeds_holm": holm}) for test, holm in zip(tests, corrected, strict=True)]
    return tuple(tests)


def difference_over_seeds(
    first: NDArray[np.bool_], second: NDArray[np.bool_], luck: SeedVariance | None, level: float = 0.95
) -> SeedDifference | None:
    """For new seeds and questions; None where the luck of training is not known, or there is one question."""
    questions = first.shape[1]
    if luck is not None and questions >= 2:
        both = difference_for_both(first, second, luck, level)
        return SeedDifference(both.estimate, both.p_value)
    if min(len(first), len(second), questions) >= 2:
        return seed_question_difference(first, second, level=level)
    return None


class DifferentQuestions(ValueError, UserError):
    """Of a caller who mixed runs, or of a record that was damaged since it was written."""


def _require_same_questions(runs: Iterable[Sequence[Prediction]]) -> None:
    asked = {tuple(prediction.id for prediction in predictions) for predictions in runs}
    if len(asked) > 1:
        raise DifferentQuestions(
            "the runs to be compared answered different questions, or in a different order; if they are of one search, "
            "its record is damaged: put back a copy"
        )


def correct_table(runs: Runs) -> NDArray[np.bool_]:
    """Whether each question was answered rightly, shape (seeds, questions), seeds ascending."""
    return _table(runs, "correct")


def _table(runs: Runs, attribute: str) -> NDArray[np.bool_]:
    """Shape (seeds, questions), seeds ascending."""
    return np.array([[getattr(p, attribute) for p in runs[seed]] for seed in sorted(runs)], dtype=bool)


def _accuracy(right: NDArray[np.bool_], level: float) -> tuple[Estimate, Estimate]:
    """And the F1 of it."""
    if len(right) == 1:
        return bootstrap_accuracy(right[0], level=level), bootstrap_f1(right[0], level=level)
    accuracy = _share(right, level)
    return accuracy, _as_f1(accuracy)


def _attempts(
    right: NDArray[np.bool_] | None, answered: NDArray[np.bool_] | None, level: float
) -> tuple[Estimate | None, Estimate | None]:
    """Precision and the share answered; None where it is not known what was answered, or nothing was."""
    if right is None or answered is None:
        return None, None
    if len(right) > 1:
        return _ratio(right, answered, level), _share(answered, level)
    attempted = int(answered.sum())
    precision = wilson_interval(int(right.sum()), attempted, level) if attempted else None
    return precision, wilson_interval(attempted, answered.shape[1], level)


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
