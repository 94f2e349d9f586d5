"""What a run of the study comes to, as plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from eval.prediction import Prediction
from search.study.base import Result
from trainer.jobs.train import RunResult, TrainingRun

PARTS = 5
"""The training is shown in so many parts of equal length."""


def run_record(job: TrainingRun, result: RunResult, sampled: Sequence[Prediction]) -> Result:
    """`sampled`: one sampled answer per question, in order, for the vote; empty where there is none."""
    if result.failure is not None:
        return {"digest": job.digest, "failure": result.failure}
    return {
        "digest": job.digest,
        "failure": None,
        "steps": len(result.curves),
        "tokens": sampled_tokens(job, result.curves),
        "seconds": round(result.seconds.get("train", 0.0), 2),
        "first_layer": _by_part(result.curves, lambda entry: entry.get("accuracy")),
        "second_layer": _by_part(result.curves, lambda entry: entry.get("layer2", {}).get("accuracy")),
        **answers_record(result.predictions, sampled),
    }


def answers_record(predictions: Sequence[Prediction], sampled: Sequence[Prediction]) -> Result:
    """Which questions are answered rightly, one character per question: 1 or 0.

    Two votes have no majority where they differ: then the greedy answer stands, unless only the other can be read.
    Raises ValueError for predictions of one pass.
    """
    firsts = [prediction.earlier for prediction in predictions]
    first = [item for item in firsts if item is not None]
    if len(first) < len(firsts):
        raise ValueError("predictions of one pass have no second answers")
    record: Result = {"first": _bits(first), "second": _bits(predictions)}
    if sampled:
        record["vote"] = _bits(
            greedy if greedy.answered else other for greedy, other in zip(first, sampled, strict=True)
        )
    return record


def sampled_tokens(job: TrainingRun, curves: Sequence[dict[str, Any]]) -> int:
    """Tokens of all completions that the run sampled in training."""
    grpo = job.grpo
    first = grpo.prompts_per_step * grpo.generations
    second = job.multilayer.completions(grpo.prompts_per_step, grpo.generations) if job.multilayer else 0
    total = 0.0
    for entry in curves:
        layers = entry.get("layers", [1])
        if 1 in layers:
            total += first * (entry.get("completion_tokens") or 0.0)
        if 2 in layers:
            total += second * (entry["layer2"]["completion_tokens"] or 0.0)
    return round(total)


def accuracy(record: Result, how: str) -> float | None:
    """Of a reading of the run; None where it has no score."""
    bits = record.get(how)
    return bits.count("1") / len(bits) if bits else None


def delta(record: Result) -> float | None:
    """Acc@t2 - Acc@t1."""
    first, second = accuracy(record, "first"), accuracy(record, "second")
    return None if first is None or second is None else second - first


def changed(record: Result, before: str, after: str) -> float | None:
    """Share of the questions whose first answer is `before` and whose second is `after`, each 1 (right) or 0."""
    if not record.get("first"):
        return None
    pairs = list(zip(record["first"], record["second"], strict=True))
    return pairs.count((before, after)) / len(pairs)


def _bits(predictions: Iterable[Prediction]) -> str:
    return "".join("1" if prediction.correct else "0" for prediction in predictions)


def _by_part(curves: Sequence[dict[str, Any]], figure: Any) -> list[float | None]:
    """The mean of the figure over each part of the training."""
    parts = []
    for part in range(PARTS):
        steps = curves[part * len(curves) // PARTS : (part + 1) * len(curves) // PARTS]
        known = [value for entry in steps if (value := figure(entry)) is not None]
        parts.append(math.fsum(known) / len(known) if known else None)
    return parts
