"""An executor for tests of the loop: instant, deterministic, without any model.

A policy's accuracy is a function of its ensemble's code and its seed alone, and the questions that it gets right
follow from that, so results do not depend on the order in which jobs run or on how often they are run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from eval.prediction import Prediction
from eval.tasks.base import Example, Task, TaskReference, examples_of
from eval.tasks.registry import build_task
from rewards_generated.ensemble import Ensemble
from trainer.jobs.base import Done, Job, Result
from trainer.jobs.evaluate import EvaluateJob, EvaluateResult, Suite
from trainer.jobs.fine_tune import FineTuneJob, FineTuneResult
from trainer.jobs.folder import CHECKPOINT, hashes
from trainer.jobs.train import (
    RewardStatistics,
    RunResult,
    SampleCompletion,
    TrainingRun,
    TrainJob,
    TrainResult,
    member_folder,
)


class InstantExecutor:
    name = "instant"

    def __init__(
        self,
        parallel_jobs: int = 1,
        job_timeout_seconds: float | None = None,
        fail: str = "",
        lose: str = "",
        lose_times: int = 1,
        interrupt: str = "",
    ) -> None:
        """Jobs whose label holds `fail` fail; those with `lose` are lost so many times before they end well; at the
        one with `interrupt` the user presses Ctrl-C."""
        self.fail, self.lose, self.lose_times, self.interrupt = fail, lose, lose_times, interrupt
        self.lost: dict[str, int] = {}
        self.ran: list[str] = []

    packs: ClassVar[list[TrainJob]] = []
    """Training jobs of several runs that the last executor ran, in order."""

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        for job in reversed(jobs):  # whatever the order
            yield self._done(job, folder)

    def _done(self, job: Job, folder: Path) -> Done:
        self.ran.append(job.label)
        if self.interrupt and self.interrupt in job.label:
            raise KeyboardInterrupt
        result = self._trained(job, folder) if isinstance(job, TrainJob) else _evaluated(job)
        return Done(job, result, folder / job.digest)

    def _trained(self, job: TrainJob, folder: Path) -> TrainResult:
        require_origins(job, folder)
        place = folder / job.digest
        members = tuple(self._train(member, member_folder(place, member), job.stop) for member in job.members)
        if any(member.lost for member in members):
            return TrainResult(digest=job.digest, failure="the job was killed by SIGKILL", owner="process")
        if job.stop is not None:
            keep_states(job, members, folder)
        return TrainResult(digest=job.digest, members=members)

    def _train(self, job: TrainingRun, folder: Path, stop: int | None = None) -> RunResult:
        if self.lose and self.lose in job.label and self.lost.get(job.digest, 0) < self.lose_times:
            self.lost[job.digest] = self.lost.get(job.digest, 0) + 1
            return RunResult(digest=job.digest, failure="the job was killed by SIGKILL", owner="process")
        if self.fail and self.fail in job.label:
            return RunResult(digest=job.digest, failure="20 % of the reward calls failed", owner="candidate")
        adapter = folder / "adapter"
        adapter.mkdir(parents=True, exist_ok=True)
        steps = stop or job.grpo.steps
        policy = [job.ensemble.identity, accuracy(job.ensemble, job.seed, None if stop is None else steps)]
        (adapter / "policy.json").write_text(json.dumps(policy), encoding="utf-8")
        asked = job.evaluation
        task = _task(job.task.model_dump_json())
        examples = () if asked is None else examples_of(task, asked.split, asked.limit, asked.ids)
        return RunResult(
            digest=job.digest,
            adapter="adapter",
            curves=tuple({"step": step, "reward_mean": step / 10} for step in range(1, steps + 1)),
            rewards=tuple(
                RewardStatistics(name=member.name, calls=8, failures=0, firing_rate=0.5, mean=0.25, std=0.1)
                for member in job.ensemble.members
            ),
            samples=(SampleCompletion(step=1, prompt="1 + 1", completion="2", answer="2", scores={}, total=None),),
            predictions=tuple(
                _predicted(example, policy[0], policy[1], job.seed, asked and asked.second_turn) for example in examples
            ),
            seconds={"start": 0.0, "train": 0.0, "evaluate": 0.0},
            sha256=hashes(folder, ["adapter"]),
        )


class PackingExecutor(InstantExecutor):
    """Runs jobs in their order, and keeps them in `packs`. Those of more than `holds` members are too large."""

    def __init__(
        self, parallel_jobs: int = 1, job_timeout_seconds: float | None = None, holds: int = 99, **options: Any
    ):
        super().__init__(parallel_jobs, job_timeout_seconds, **options)
        self.holds = holds
        InstantExecutor.packs = []

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        for job in jobs:
            yield self._done(job, folder)

    def _trained(self, job: TrainJob, folder: Path) -> TrainResult:
        InstantExecutor.packs.append(job)
        if len(job.members) > self.holds:
            return TrainResult(digest=job.digest, failure="a pack is too large", owner="memory")
        return super()._trained(job, folder)


class ByKind:
    """An executor that asks `train`, `evaluate` and `fine_tune` for the results, one kind of job each."""

    def train(self, run: TrainingRun, place: Path) -> RunResult:
        raise AssertionError("nothing is trained")

    def evaluate(self, job: EvaluateJob) -> EvaluateResult:
        raise AssertionError("nothing is evaluated")

    def fine_tune(self, job: FineTuneJob, place: Path) -> FineTuneResult:
        raise AssertionError("nothing is fine-tuned")

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        for job in jobs:
            place = folder / job.digest
            result: Result
            if isinstance(job, TrainJob):
                members = tuple(self.train(member, member_folder(place, member)) for member in job.members)
                result = TrainResult(digest=job.digest, members=members)
            elif isinstance(job, EvaluateJob):
                result = self.evaluate(job)
            else:
                assert isinstance(job, FineTuneJob)
                result = self.fine_tune(job, place)
            yield Done(job, result, place)


def keep_states(job: TrainJob, members: Sequence[RunResult], folder: Path) -> None:
    """Leaves what says which members stopped where, as a real pack leaves their states."""
    checkpoint = folder / job.digest / CHECKPOINT
    checkpoint.mkdir(parents=True, exist_ok=True)
    sound = [member.digest for member in members if member.failure is None]
    (checkpoint / "state.json").write_text(json.dumps([job.stop, sound]), encoding="utf-8")


def require_origins(job: TrainJob, folder: Path) -> None:
    """Every member's state is where it should be, and all are of the same step, below the pack's own stop."""
    steps = set()
    for member, origin in zip(job.members, job.origins, strict=bool(job.origins)):
        step, kept = json.loads((folder / origin / CHECKPOINT / "state.json").read_text(encoding="utf-8"))
        assert member.digest in kept
        steps.add(step)
    assert len(steps) == bool(job.origins)
    assert all(step < (job.stop or job.shared.grpo.steps) for step in steps)


class PackingInterruptedOnce(PackingExecutor):
    """The user presses Ctrl-C when the second pack is about to start, once."""

    pressed = False
    before: ClassVar[list[Job]] = []

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        for number, job in enumerate(jobs):
            if isinstance(job, TrainJob) and number == 1 and not PackingInterruptedOnce.pressed:
                PackingInterruptedOnce.pressed = True
                PackingInterruptedOnce.before = list(jobs)
                raise KeyboardInterrupt
            yield self._done(job, folder)


class InterruptedLater(InstantExecutor):
    """The user presses Ctrl-C at the second batch of jobs, once."""

    starts = 0

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        InterruptedLater.starts += isinstance(jobs[0], TrainJob) if jobs else 0
        if InterruptedLater.starts == 2:
            raise KeyboardInterrupt
        yield from super().run(jobs, folder)


class InterruptedOnce(InstantExecutor):
    """The user presses Ctrl-C at the first screening of the second round."""

    pressed = False

    def __init__(self, parallel_jobs: int = 1, job_timeout_seconds: float | None = None) -> None:
        pressed, InterruptedOnce.pressed = InterruptedOnce.pressed, True
        super().__init__(interrupt="" if pressed else "screening reward-2")


def accuracy(ensemble: Ensemble, seed: int, rung: int | None = None) -> float:
    """Mean of what the code of each candidate is worth, with the noise of a seed; at a rung another."""
    codes = [member.identity for member in ensemble.members if not member.is_base]
    kind = "worth" if rung is None else f"worth at {rung}"
    worth = sum(_share(kind, code) for code in codes) / len(codes) if codes else 0.3
    return 0.1 + 0.7 * worth + 0.1 * _share("noise", ensemble.identity, seed)


def _evaluated(job: Job) -> EvaluateResult:
    assert isinstance(job, EvaluateJob)
    predictions = tuple(
        {name: _answers(job, suite, adapter) for name, suite in job.suites.items()} for adapter in job.adapters
    )
    return EvaluateResult(digest=job.digest, predictions=predictions, seconds={"evaluate": 0.0})


def _answers(job: EvaluateJob, suite: Suite, adapter: str | None) -> tuple[Prediction, ...]:
    examples = examples_of(_task(suite.task.model_dump_json()), suite.split, suite.questions, suite.ids)
    identity, right, seed = "base", 0.3, job.seed
    if adapter is not None:
        identity, right = json.loads((Path(job.placed(adapter)) / "policy.json").read_text(encoding="utf-8"))
    return tuple(
        _predicted(example, identity, right, f"{seed} {sample}", job.second_turn)
        for example in examples
        for sample in range(job.samples_per_question)
    )


def _predicted(example: Example, identity: str, right: float, seed: object, second_turn: str | None) -> Prediction:
    """Of two passes the second is the better one."""
    last = _prediction(example, identity, right, seed)
    if second_turn is None:
        return last
    return last.model_copy(update={"earlier": _prediction(example, identity, 0.8 * right, f"{seed} {second_turn}")})


def _prediction(example: Example, identity: str, right: float, seed: object) -> Prediction:
    correct = _share("answer", identity, seed, example.id) < right
    answer = example.answer if correct else str(int(example.answer) + 1)
    steps = int(40 * _share("length", identity, seed, example.id))
    reasoning = " ".join(f"{step} + 1 = {step + 1}." for step in range(steps)) + ("" if correct else " Wait, check.")
    return Prediction(
        id=example.id,
        completion=f"<thinking>{reasoning}</thinking><solution>{answer}</solution>",
        strict=answer,
        flexible=answer,
        correct=correct,
        correct_flexible=correct,
        completion_tokens=20 + steps,
    )


@cache
def _task(task: str) -> Task:
    return build_task(TaskReference.model_validate_json(task))


def _share(*parts: object) -> float:
    """A number in [0, 1) that is a function of the arguments."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
