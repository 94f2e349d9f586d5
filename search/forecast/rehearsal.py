"""A rehearsal of a search: the driver's own code from the first job to the last, with jobs that take no time.

What is rehearsed is the order of things: which jobs are sent off together, after what, and how long the driver takes
beside them, its ledger included. Nothing is trained, asked or paid; who ranks first is drawn.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Literal

from rich.console import Console

from eval.prediction import Prediction
from eval.prescreener import Scores
from eval.tasks.base import Example, Task, TaskReference, examples_of
from eval.tasks.registry import build_task
from rewards_generated.ensemble import Member
from rewards_generated.gate.verdict import Verdict
from rewards_generated.rollout import Rollout
from rewards_generated.sandbox.settings import SandboxSettings
from search.config.models import ExecutorSettings, ProposerSettings, SearchConfig
from search.config.suites import suites_of
from search.driver.launch import opened_run
from search.finals.finals import run_finals
from search.ledger import Candidate
from search.loop import explore, require_scored
from search.proposers.base import Proposal, ProposalBatch, ProposalRequest
from search.rounds.checks import Checks
from search.session import Progress
from trainer.jobs.base import Done, Job
from trainer.jobs.evaluate import EvaluateJob, EvaluateResult
from trainer.jobs.train import RewardStatistics, RunResult, TrainingRun, TrainJob, TrainResult

REASONING = "<thinking>" + "3 + 4 = 7. Wait, check 3 + 4 = 7. " * 8
"""Of a stand-in's answers, about as long as real ones: what is written down takes time by its length."""


ANSWERS = 100
"""Of a policy; what the driver does with them grows with their number."""


@dataclass(frozen=True, slots=True)
class JobSize:
    """What a job has to do. `policies`: runs that train together, or adapters that answer. `steps` of each; `questions`
    that each answers, a second turn counted again. `subjects`: the names of what is trained."""

    policies: int
    steps: int
    questions: int
    subjects: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Batch:
    """Jobs that are sent off together; what follows waits for all of them. `recording`: seconds that the driver took
    for the result of each, as long as which it starts no other."""

    jobs: tuple[JobSize, ...]
    recording: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Alone:
    """What the driver does while no job runs: `count` candidates asked for, candidates checked, or seconds of its own
    (ranking, auditing, writing)."""

    what: Literal["proposing", "checking", "driver"]
    count: float


Event = Batch | Alone


@dataclass(frozen=True, slots=True)
class Rehearsal:
    before: tuple[Event, ...]
    """Up to the first question to the proposer."""
    rounds: tuple[tuple[Event, ...], ...]
    finals: tuple[Event, ...]

    @property
    def events(self) -> tuple[Event, ...]:
        return (*self.before, *(event for events in self.rounds for event in events), *self.finals)

    @property
    def batches(self) -> list[Batch]:
        return [event for event in self.events if isinstance(event, Batch)]


def rehearse(config: SearchConfig, workers: int, clock: Callable[[], float] = time.process_time) -> Rehearsal:
    """`workers`: jobs at the same time, by which packs are planned where executor.pack is auto. `clock`: seconds, for
    what the driver takes itself: of its processor, so that a busy machine does not count. Policies answer at most
    `ANSWERS` questions, and the driver's time is taken in proportion. Raises UserError as the search would before its
    start.
    """
    record = _Record(clock, max(1.0, config.selection_questions / ANSWERS))
    with (
        tempfile.TemporaryDirectory(prefix="reward-search-rehearsal-") as folder,
        opened_run(
            Path(folder) / "run", _with_stand_ins(config, workers), Progress(Console(quiet=True), 0), resume=False
        ) as opened,
    ):
        executor = _Executor(record, config)
        run = replace(opened, proposer=_Proposer(record), executor=executor, checks=_Checks(record))
        record.leave()
        rollouts = explore(run, run.config.search.rounds)
        require_scored(run)
        record.enter()
        record.parts.append([])
        record.leave()
        run_finals(run, rollouts)
        record.enter()
    before, *rounds, finals = record.parts
    return Rehearsal(tuple(before), tuple(map(tuple, rounds)), tuple(finals))


def _with_stand_ins(config: SearchConfig, workers: int) -> SearchConfig:
    """Of the same jobs, on questions and with a proposer that every machine has. The base policy is looked at only
    where packs are planned by its size."""
    finals, search = config.finals, config.search
    most = max(config.question_pool, finals.test_questions)
    task = {"train": search.base_rollouts.questions, "validation": most, "test": most}
    count = sum(1 + (suite.matched is not None) for suite in suites_of(config))
    # Other tasks than the search's, by a size of a split that is never asked.
    ood = [{**task, "test": finals.ood_questions, "train": task["train"] + 1 + number} for number in range(count)]
    screening = config.screening.model_copy(update={"earlier_runs": ()})
    changes: dict[str, Any] = {
        "task": TaskReference(name="testbed", options=task),
        "search": search.model_copy(update={"proposes": "reward", "contracts": ("completion",)}),
        "proposer": ProposerSettings(),
        "sandbox": SandboxSettings(require="basic", allow_weak=True),
        "finals": finals.model_copy(
            update={"ood": tuple(TaskReference(name="testbed", options=options) for options in ood)}
        ),
        "screening": screening,
        "executor": ExecutorSettings(parallel_jobs=workers, pack=config.executor.pack),
    }
    fresh = SearchConfig.model_fields
    if config.executor.pack != "auto":
        grpo = screening.grpo.model_copy(update={"optimizer": "adamw_torch"})
        changes |= {"base_model": "testbed", "screening": screening.model_copy(update={"grpo": grpo})}
        changes |= {name: fresh[name].default for name in ("engine", "hardware")}
    return config.model_copy(update={**changes, "prompting": fresh["prompting"].default})


class _Record:
    """Of what happens in which order. Between `leave` and `enter` the time is the driver's own."""

    def __init__(self, clock: Callable[[], float], scale: float) -> None:
        self.parts: list[list[Event]] = [[]]
        self._clock, self._scale, self._left = clock, scale, clock()

    def leave(self) -> None:
        self._left = self._clock()

    def enter(self) -> None:
        self.parts[-1].append(Alone("driver", self.since()))

    def since(self) -> float:
        return self._scale * (self._clock() - self._left)


class _Proposer:
    name = "stand-in"

    def __init__(self, record: _Record) -> None:
        self._record, self._number = record, 0

    def propose(self, request: ProposalRequest) -> ProposalBatch:
        self._record.enter()
        self._record.parts.append([Alone("proposing", request.count)])
        proposals = []
        for _ in range(request.count):
            self._number += 1
            code = f"def reward(prompt: str, completion: str, answer: str) -> float:\n    return {self._number}.0\n"
            proposals.append(Proposal(f"candidate-{self._number}", code, self.name, family="correctness"))
        self._record.leave()
        return ProposalBatch(tuple(proposals))


class _Checks(Checks):
    """Accept every candidate, and find all of them different."""

    def __init__(self, record: _Record) -> None:
        self._record = record

    def verdicts(
        self, config: SearchConfig, task: Task, candidate: Candidate, rollouts: Sequence[Rollout]
    ) -> dict[str, Verdict]:
        self._record.enter()
        self._record.parts[-1].append(Alone("checking", 1))
        self._record.leave()
        return {candidate.name: Verdict(accepted=True, identity=candidate.identity, checks=())}

    def scores(self, config: SearchConfig, task: Task, member: Member, rollouts: Sequence[Rollout]) -> Scores:
        self._record.enter()
        draws = Random(f"{config.seed} {member.identity}")
        found: Scores = [draws.random() for _ in rollouts]
        self._record.leave()
        return found


class _Executor:
    name = "stand-in"

    def __init__(self, record: _Record, config: SearchConfig) -> None:
        self._record, self._passes = record, 1 if config.second_turn is None else 2
        self._tasks: dict[str, Task] = {}
        self._stops: dict[str, int] = {}

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        self._record.enter()
        sizes, recording = [], []
        for job in jobs:
            if isinstance(job, TrainJob):
                size, done = self._trained(job, folder)
            else:
                assert isinstance(job, EvaluateJob)
                size, done = self._evaluated(job, folder)
            self._record.leave()
            yield done
            sizes.append(size)
            recording.append(self._record.since())
        self._record.parts[-1].append(Batch(tuple(sizes), tuple(recording)))
        self._record.leave()

    def _trained(self, job: TrainJob, folder: Path) -> tuple[JobSize, Done]:
        shared = job.shared
        end = job.stop or shared.grpo.steps
        self._stops[job.digest] = end
        start = self._stops[job.origins[0]] if job.origins else 0
        questions = len(self._asked(job.shared))
        members = tuple(self._run(member) for member in job.members)
        subjects = frozenset(member.ensemble.name for member in job.members)
        size = JobSize(len(members), end - start, self._passes * questions, subjects)
        return size, Done(job, TrainResult(digest=job.digest, members=members), folder / job.digest)

    def _asked(self, run: TrainingRun) -> Sequence[Example]:
        asked = run.evaluation
        assert asked is not None
        return examples_of(self._task(run.task), asked.split, asked.limit, asked.ids)

    def _run(self, run: TrainingRun) -> RunResult:
        examples = self._asked(run)[:ANSWERS]
        luck = Random(f"{run.ensemble.identity} {run.seed}")
        names = [member.name for member in run.ensemble.members]
        return RunResult(
            digest=run.digest,
            adapter="adapter",
            curves=tuple({"step": step, "reward_mean": luck.random()} for step in range(1, run.grpo.steps + 1)),
            rewards=tuple(
                RewardStatistics(name=name, calls=1, failures=0, firing_rate=0.5, mean=0.5, std=0.5) for name in names
            ),
            predictions=_answers(examples, luck, 0.3 + 0.4 * luck.random()),
        )

    def _evaluated(self, job: EvaluateJob, folder: Path) -> tuple[JobSize, Done]:
        [(name, suite)] = job.suites.items()
        examples = examples_of(self._task(suite.task), suite.split, suite.questions, suite.ids)
        sampled = [example for example in examples for _ in range(job.samples_per_question)]
        draws = Random(f"{job.digest}")
        # All of those by whose answers questions are drawn.
        answered = sampled if job.samples_per_question > 1 else sampled[:ANSWERS]
        predictions = tuple({name: _answers(answered, draws, 0.4)} for _ in job.adapters)
        passes = 1 if job.second_turn is None else 2
        size = JobSize(len(job.adapters), 0, passes * len(sampled))
        return size, Done(job, EvaluateResult(digest=job.digest, predictions=predictions), folder / job.digest)

    def _task(self, reference: TaskReference) -> Task:
        key = reference.model_dump_json()
        if key not in self._tasks:
            self._tasks[key] = build_task(reference)
        return self._tasks[key]


def _answers(examples: Sequence[Example], draws: Random, accuracy: float) -> tuple[Prediction, ...]:
    return tuple(_answer(example, draws.random() < accuracy) for example in examples)


def _answer(example: Example, correct: bool) -> Prediction:
    answer = example.answer if correct else "0"
    return Prediction(
        id=example.id,
        completion=f"{REASONING}</thinking><solution>{answer}</solution>",
        strict=answer,
        flexible=answer,
        correct=correct,
        correct_flexible=correct,
        completion_tokens=len(REASONING.split()),
    )
