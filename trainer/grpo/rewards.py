"""The bridge from an ensemble of rewards to TRL: one total per completion, and a record of what every member did."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from eval.tasks.base import Task
from rewards_generated.answers.programs import judge_ahead
from rewards_generated.rollout import Sample
from rewards_generated.scorer import EnsembleScorer, EnsembleScores
from trainer.jobs.train import RewardStatistics, SampleCompletion

logger = logging.getLogger(__name__)

STEPS_WITH_SAMPLES = 6
"""Steps, spread evenly over the run, of which the best, the worst and the first completion are kept."""
DEAD_STEPS = 3
"""So many steps in a row without a single score from a member end the run, whatever its failure rate so far."""


class RunUnscored(Exception):
    """The run cannot be scored; the message is the one sentence that says why."""


@dataclass(slots=True)
class _Tally:
    """Running sums of one member's scores."""

    calls: int = 0
    scored: int = 0
    fired: int = 0
    total: float = 0.0
    squares: float = 0.0
    dead_steps: int = 0
    errors: dict[str, None] = field(default_factory=dict)

    @property
    def failures(self) -> int:
        return self.calls - self.scored


class RolloutScoring:
    """Scores the completions of each step, gives TRL the totals, and keeps the curves, statistics and samples.

    There is one reward function for TRL, whatever the number of members: among several, TRL counts a missing
    reward as 0, while a row whose only reward is missing is left out of its group.
    """

    def __init__(
        self, scorer: EnsembleScorer, task: Task, *, generations: int, steps: int, failure_rate_limit: float
    ) -> None:
        self.curve: dict[int, dict[str, Any]] = {}
        """Per step, counted from 1: the figures that come from the rollouts."""
        self.samples: list[SampleCompletion] = []
        self.seconds = 0.0
        """Wall-clock spent in reward calls."""
        self.correct: list[bool] = []
        """Of the last batch: which completions answer rightly, in the strict format."""
        self._scorer = scorer
        self._task = task
        self._generations = generations
        self._steps = steps
        self._failure_rate_limit = failure_rate_limit
        self._tallies: dict[str, _Tally] = {}
        spacing = max(STEPS_WITH_SAMPLES - 1, 1)
        self._sampled_steps = {1 + round(index * (steps - 1) / spacing) for index in range(STEPS_WITH_SAMPLES)}

    def reward(
        self,
        *,
        completions: Sequence[Sequence[dict[str, str]]],
        completion_ids: Sequence[Sequence[int]],
        question: Sequence[str],
        answer: Sequence[str],
        worked_solution: Sequence[str | None],
        trainer_state: Any,
        **_: Any,
    ) -> list[float | None]:
        """TRL's reward function: one total per completion, None where it could not be scored.

        All sequences have one entry per completion, the completions of one prompt side by side. Raises RunUnscored
        as soon as the run can no longer keep its failure rate.
        """
        texts = [completion[0]["content"] for completion in completions]
        samples = [Sample(*row) for row in zip(question, texts, answer, worked_solution, strict=True)]
        groups = [index // self._generations for index in range(len(samples))]
        step = trainer_state.global_step + 1
        started = time.perf_counter()
        judge_ahead(self._task, texts, answer)
        scores = self._scorer.score(samples, groups, self._progress(step))
        self.seconds += time.perf_counter() - started
        for name, why in scores.condemned.items():
            raise RunUnscored(f"reward {name} {why}; none of its values counts")
        self._record(step, samples, completion_ids, scores)
        if step in self._sampled_steps:
            self._keep_samples(step, samples, scores)
        self._check_failures(len(samples))
        return scores.totals

    def statistics(self) -> tuple[RewardStatistics, ...]:
        """Per member, over every completion so far."""
        return tuple(
            RewardStatistics(
                name=name,
                calls=tally.calls,
                failures=tally.failures,
                firing_rate=tally.fired / tally.scored if tally.scored else None,
                mean=tally.total / tally.scored if tally.scored else None,
                std=math.sqrt(max(0.0, tally.squares / tally.scored - (tally.total / tally.scored) ** 2))
                if tally.scored
                else None,
            )
            for name, tally in self._tallies.items()
        )

    def state(self) -> dict[str, Any]:
        """All that was kept so far, as plain JSON values, for `restore`."""
        return {
            "curve": list(self.curve.values()),
            "samples": [sample.model_dump() for sample in self.samples],
            "seconds": self.seconds,
            "tallies": {name: {**asdict(tally), "errors": list(tally.errors)} for name, tally in self._tallies.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a `state`."""
        self.curve = {entry["step"]: entry for entry in state["curve"]}
        self.samples = [SampleCompletion.model_validate(sample) for sample in state["samples"]]
        self.seconds = state["seconds"]
        self._tallies = {
            name: _Tally(**{**tally, "errors": dict.fromkeys(tally["errors"])})
            for name, tally in state["tallies"].items()
        }

    def _progress(self, step: int) -> float:
        """Share of the run's steps that are done before this one; a rung of halving stops a run, not its schedules."""
        return (step - 1) / self._steps

    def _record(
        self,
        step: int,
        samples: Sequence[Sample],
        completion_ids: Sequence[Sequence[int]],
        scores: EnsembleScores,
    ) -> None:
        extracted = [self._task.extract(sample.completion).strict for sample in samples]
        self.correct = [
            answer is not None and self._task.equal(answer, sample.answer)
            for answer, sample in zip(extracted, samples, strict=True)
        ]
        scored = [total for total in scores.totals if total is not None]
        members: dict[str, dict[str, float | int | None]] = {}
        for name, values in scores.components.items():
            present = [value for value in values if value is not None]
            tally = self._tallies.setdefault(name, _Tally())
            tally.calls += len(values)
            tally.scored += len(present)
            tally.fired += sum(value != 0 for value in present)
            tally.total += math.fsum(present)
            tally.squares += math.fsum(value * value for value in present)
            tally.dead_steps = 0 if present else tally.dead_steps + 1
            for error in scores.errors.get(name, []):
                tally.errors[error] = None
            members[name] = {
                "mean": _mean(present),
                "std": _std(present),
                "firing_rate": _mean([float(value != 0) for value in present]),
                "failures": len(values) - len(present),
            }
        for member in self._scorer.ensemble.members:
            if member.schedule is not None:
                members[member.name]["weight"] = member.weight_at(self._progress(step))
        self.curve[step] = {
            "step": step,
            "reward_mean": _mean(scored),
            "reward_std": _std(scored),
            "rewards": members,
            "completion_tokens": _mean([float(len(ids)) for ids in completion_ids]),
            "extraction_rate": _mean([float(answer is not None) for answer in extracted]),
            "accuracy": _mean([float(value) for value in self.correct]),
        }

    def _keep_samples(self, step: int, samples: Sequence[Sample], scores: EnsembleScores) -> None:
        ranked = sorted((total, -row) for row, total in enumerate(scores.totals) if total is not None)
        chosen = [0, *([-ranked[-1][1], -ranked[0][1]] if ranked else [])]
        for row in dict.fromkeys(chosen):
            self.samples.append(
                SampleCompletion(
                    step=step,
                    prompt=samples[row].prompt,
                    completion=samples[row].completion,
                    answer=samples[row].answer,
                    scores={name: values[row] for name, values in scores.components.items()},
                    total=scores.totals[row],
                )
            )

    def _check_failures(self, batch: int) -> None:
        for name, tally in self._tallies.items():
            hopeless = tally.failures > self._failure_rate_limit * self._steps * batch
            if hopeless or tally.dead_steps >= DEAD_STEPS:
                raise RunUnscored(
                    f"reward {name} failed in {tally.failures} of {tally.calls} calls, more than the limit of "
                    f"{self._failure_rate_limit:.0%} allows (such as: {next(iter(tally.errors), 'no reason given')})"
                )


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _std(values: Sequence[float]) -> float | None:
    """Of the population; None without values."""
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
