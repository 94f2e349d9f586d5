"""What a proposer is shown of measurements beside scores: reference points, and what training did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReferenceScore:
    """Of a policy that no candidate is part of, on the split that ranks. Pairs are the ends of 95 % intervals."""

    name: str
    f1: float
    f1_ends: tuple[float, float]
    accuracy: float
    accuracy_ends: tuple[float, float]
    extraction_rate: float
    mean_completion_tokens: float
    runs: int
    """Training runs; 0: it is untrained."""
    luck_known: bool
    """Whether the intervals hold new training seeds as well; of an untrained policy there are none."""


@dataclass(frozen=True, slots=True)
class Reference:
    """How candidates are trained and judged, and what scores are compared with."""

    rounds: int
    runs: int
    """Training runs per candidate."""
    steps: int
    prompts_per_step: int
    generations: int
    """Completions per question and step: the group that GRPO compares."""
    max_completion_tokens: int
    questions: int
    """That score a candidate, each answered once, greedily."""
    scores: tuple[ReferenceScore, ...] = ()
    sampled_accuracy: float | None = None
    """Of the untrained policy's sampled completions of training questions; None: there are none."""
    temperature: float = 1.0
    """Of these completions."""
    deviation: float | None = None
    """Of the measured accuracies of runs of one recipe under different seeds; None: nothing ran twice so far."""
    repeated_runs: int = 0
    """From which that is known."""
    by_luck: float | None = None
    """How far in accuracy two equally good candidates lie apart by training luck alone, in 95 % of cases at most."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Means over the training completions of a stretch of steps. None: not measured."""

    first_step: int
    last_step: int
    reward: float | None
    """Total, base rewards included."""
    component: float | None
    """The candidate's own part."""
    accuracy: float | None
    completion_tokens: float | None


@dataclass(frozen=True, slots=True)
class LateCompletion:
    """One of the last completions that a training run kept, of a train question."""

    step: int
    question: str
    answer: str
    completion: str
    right: bool
    scores: tuple[tuple[str, float | None], ...]
    """By base reward, and the candidate's as `candidate`; None: it failed."""


@dataclass(frozen=True, slots=True)
class Training:
    """What one training run of a candidate, that of the first seed, did to the policy."""

    curve: tuple[CurvePoint, ...] = ()
    late: tuple[LateCompletion, ...] = ()
    """The latest first."""

    @property
    def fall(self) -> float:
        """By how much the accuracy at the end is below its best point; 0 where it is unknown."""
        known = [point.accuracy for point in self.curve if point.accuracy is not None]
        return max(known) - known[-1] if known else 0.0


@dataclass(frozen=True, slots=True)
class QuestionKind:
    """Accuracy on a part of the questions that rank. None: not measured."""

    kind: str
    questions: int
    untrained: float | None
    base_only: float | None
    leader: float
