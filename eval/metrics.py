"""Figures of one evaluation: how many questions were answered, and how many of them rightly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.prediction import Prediction


@dataclass(frozen=True, slots=True)
class AnswerMetrics:
    """Figures under one way of reading the answer. Shares lie in [0, 1]; None: undefined (nothing to divide by)."""

    correct: int
    """TP: an answer was read and it is right."""
    wrong: int
    """FP: an answer was read and it is wrong."""
    unanswered: int
    """FN: no answer could be read."""
    accuracy: float | None
    """TP / N."""
    f1: float | None
    """2 TP / (2 TP + FP + FN); since TP + FP + FN = N this is 2a / (1 + a) of the accuracy a."""
    precision: float | None
    """TP / (TP + FP): accuracy on the questions that were attempted."""
    extraction_rate: float | None
    """(TP + FP) / N."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures of one evaluation over `n` questions. `strict` is the one that ranks."""

    n: int
    strict: AnswerMetrics
    flexible: AnswerMetrics
    mean_completion_tokens: float | None
    format_gap: float | None
    """Flexible minus strict accuracy: right answers lost to the format."""


def f1_of_accuracy(accuracy: float) -> float:
    """F1 = 2a / (1 + a), with TP right, FP wrong, FN unanswered (arXiv 2605.02073): every item has a gold answer, so
    TP + FP + FN = N and F1 = 2 TP / (N + TP). A monotone map of accuracy: it never changes a ranking."""
    return 2 * accuracy / (1 + accuracy)


def compute_metrics(predictions: Sequence[Prediction]) -> Metrics:
    """Metrics of one evaluation; with no predictions every share is None, never 0.

    Raises ValueError where a question occurs twice or a prediction is right without an answer.
    """
    if len({prediction.id for prediction in predictions}) != len(predictions):
        raise ValueError("the predictions hold the same question more than once")
    strict = _answer_metrics([p.correct for p in predictions], [p.strict is not None for p in predictions])
    flexible = _answer_metrics([p.correct_flexible for p in predictions], [p.flexible is not None for p in predictions])
    n = len(predictions)
    gap = None
    if strict.accuracy is not None and flexible.accuracy is not None:
        gap = flexible.accuracy - strict.accuracy
    return Metrics(
        n=n,
        strict=strict,
        flexible=flexible,
        mean_completion_tokens=sum(p.completion_tokens for p in predictions) / n if n else None,
        format_gap=gap,
    )


def _answer_metrics(correct: Sequence[bool], answered: Sequence[bool]) -> AnswerMetrics:
    if any(right and not read for right, read in zip(correct, answered, strict=True)):
        raise ValueError("a prediction is marked right although no answer was read from it")
    n, right, attempted = len(correct), sum(correct), sum(answered)
    return AnswerMetrics(
        correct=right,
        wrong=attempted - right,
        unanswered=n - attempted,
        accuracy=right / n if n else None,
        f1=2 * right / (n + right) if n else None,
        precision=right / attempted if attempted else None,
        extraction_rate=attempted / n if n else None,
    )
