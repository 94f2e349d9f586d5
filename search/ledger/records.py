"""What the ledger gives back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from eval.tasks.base import Split
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.reward_set import Proposes, read_set
from search.proposers.base import UnusableItem
from trainer.jobs.train import TrainJob

Stage = Literal["base-rollouts", "screening", "greedy", "retraining", "test", "transfer", "suite"]


@dataclass(frozen=True, slots=True)
class Change:
    """One field of the configuration under which a stopped search went on otherwise."""

    at: datetime
    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        before, after = (json.dumps(value, ensure_ascii=False) for value in (self.before, self.after))
        return f"{self.field}: {before} -> {after}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposal that was written down. `identity` is None where the code is not Python; `code` of a set is its
    text."""

    name: str
    round: int
    position: int
    identity: str | None
    code: str
    origin: str
    description: str
    family: str
    parents: tuple[str, ...]
    kind: Proposes = "reward"

    @property
    def members(self) -> tuple[Member, ...]:
        """As parts of an ensemble; a reward that was proposed alone has weight 1."""
        return read_set(self.code).members(self.name) if self.kind == "reward_set" else (self._alone,)

    @property
    def replaces(self) -> tuple[str, ...]:
        """Base rewards that are left out where it is trained."""
        return read_set(self.code).replaces if self.kind == "reward_set" else ()

    @property
    def arrangement(self) -> tuple[tuple[str, str], ...]:
        """What tells it from another candidate that scores rollouts alike; see `RewardSet.arrangement`."""
        return read_set(self.code).arrangement if self.kind == "reward_set" else ()

    @property
    def _alone(self) -> Member:
        return Member(name=self.name, code=self.code)


@dataclass(frozen=True, slots=True)
class Round:
    number: int
    requested: int
    seconds: float
    unusable: tuple[UnusableItem, ...]


@dataclass(frozen=True, slots=True)
class Finalist:
    """An ensemble to be retrained. `kind` control: it can never be named the winner; candidate: one that was screened,
    which is no finalist of the ledger."""

    name: str
    kind: Literal["selected", "control", "candidate"]
    candidates: tuple[str, ...]
    ensemble: Ensemble
    steps: int
    same_as: str | None = None
    listed_apart: str | None = None
    control: str | None = None


@dataclass(frozen=True, slots=True)
class JobRecord:
    stage: Stage
    subject: str
    seed: int
    digest: str
    failure: str | None
    result: dict[str, Any]
    """The result as it came back, without predictions."""


PackOutcome = Literal["done", "failed", "too large"]


@dataclass(frozen=True, slots=True)
class PackRecord:
    """Training jobs that were sent off as one. `outcome` None: it is not over."""

    stage: Stage
    job: TrainJob
    outcome: PackOutcome | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    stage: Stage
    subject: str
    seed: int
    split: Split
    completions: str
    """Name of the file with the completions, in the run's files folder."""
    rung: int | None = None
    """Steps trained when this was measured, on the way; None: the training was over, or there was none."""


@dataclass(frozen=True, slots=True)
class Milestone:
    at: datetime
    detail: dict[str, Any]
