"""What a run of the study comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Literal

from pydantic import RootModel

from eval.prediction import Prediction
from search.study.base import Record
from search.study.cells import change, mean
from trainer.algorithms import algorithm_of
from trainer.jobs.train import RunResult, TrainingRun
from trainer.multilayer.algorithm import Multilayer

PARTS = 5
"""The training is shown in so many parts of equal length."""

How = Literal["first", "second", "vote"]


class Answers(Record):
    """Which questions are answered rightly, one character per question: 1 or 0."""

    first: str
    second: str
    vote: str | None = None

    def right(self, how: How) -> list[bool]:
        return [bit == "1" for bit in getattr(self, how) or ""]

    def accuracy(self, how: How) -> float | None:
        """None where it was not read so."""
        right = self.right(how)
        return sum(right) / len(right) if right else None

    @property
    def delta(self) -> float | None:
        """Acc@t2 - Acc@t1."""
        return change(self.accuracy("first"), self.accuracy("second"))

    def changed(self, before: str, after: str) -> float | None:
        """Share of the questions whose first answer is `before` and whose second is `after`, each 1 (right) or 0."""
        pairs = list(zip(self.first, self.second, strict=True))
        return pairs.count((before, after)) / len(pairs) if pairs else None


class ScoredRun(Answers):
    digest: str
    failure: None
    steps: int
    tokens: int
    """Of all completions that the run sampled in training."""
    seconds: float
    first_layer: tuple[float | None, ...]
    """Accuracy of sampled completions over `PARTS` parts of the training, as in `second_layer`."""
    second_layer: tuple[float | None, ...]


class FailedRun(Record):
    digest: str
    failure: str


class Runs(RootModel[dict[str, dict[int, ScoredRun | FailedRun]]]):
    """Of some seeds, by arm and seed."""


def run_record(job: TrainingRun, result: RunResult, sampled: Sequence[Prediction]) -> ScoredRun | FailedRun:
    """`sampled`: one sampled answer per question, in order, for the vote; empty where there is none."""
    if result.failure is not None:
        return FailedRun(digest=job.digest, failure=result.failure)
    return ScoredRun(
        digest=job.digest,
        failure=None,
        steps=len(result.curves),
        tokens=sampled_tokens(job, result.curves),
        seconds=round(result.seconds.get("train", 0.0), 2),
        first_layer=_by_part(result.curves, lambda entry: entry.get("accuracy")),
        second_layer=_by_part(result.curves, lambda entry: entry.get("layer2", {}).get("accuracy")),
        **_bits(result.predictions, sampled),
    )


def answers_record(predictions: Sequence[Prediction], sampled: Sequence[Prediction]) -> Answers:
    """Two votes have no majority where they differ: then the greedy answer stands, unless only the other can be read.

    Raises ValueError for predictions of one pass.
    """
    return Answers(**_bits(predictions, sampled))


def _bits(predictions: Sequence[Prediction], sampled: Sequence[Prediction]) -> dict[How, str]:
    firsts = [prediction.earlier for prediction in predictions]
    first = [item for item in firsts if item is not None]
    if len(first) < len(firsts):
        raise ValueError("predictions of one pass have no second answers")

    def bits(given: Iterable[Prediction]) -> str:
        return "".join("1" if prediction.correct else "0" for prediction in given)

    found: dict[How, str] = {"first": bits(first), "second": bits(predictions)}
    if sampled:
        votes = (greedy if greedy.answered else other for greedy, other in zip(first, sampled, strict=True))
        found["vote"] = bits(votes)
    return found


def sampled_tokens(job: TrainingRun, curves: Sequence[dict[str, Any]]) -> int:
    """Tokens of all completions that the run sampled in training."""
    algorithm, first = algorithm_of(job.algorithm), job.grpo.completions
    second = algorithm.second_layer(job.grpo) if isinstance(algorithm, Multilayer) else 0
    total = 0.0
    for entry in curves:
        layers = entry.get("layers", [1])
        if 1 in layers:
            total += first * (entry.get("completion_tokens") or 0.0)
        if 2 in layers:
            total += second * (entry["layer2"]["completion_tokens"] or 0.0)
    return round(total)


def _by_part(
    curves: Sequence[dict[str, Any]], figure: Callable[[dict[str, Any]], float | None]
) -> tuple[float | None, ...]:
    """The mean of the figure over each part of the training."""
    bounds = [part * len(curves) // PARTS for part in range(PARTS + 1)]
    return tuple(mean(map(figure, curves[low:high])) for low, high in pairwise(bounds))
