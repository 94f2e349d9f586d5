"""What a report shows, as plain data: the caller fills it from wherever its records lie."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from eval.prescreening import PreScreening
from eval.statistics.estimate import Estimate


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scores(_Data):
    """Figures of one policy on one split, each with its interval. None: undefined or not measured, never 0."""

    n: int
    """Questions."""
    seeds: tuple[int, ...]
    """Training seeds whose runs were evaluated, one evaluation each."""
    accuracy: Estimate
    f1: Estimate
    precision: Estimate | None = None
    extraction_rate: Estimate | None = None
    accuracy_flexible: Estimate | None = None
    f1_flexible: Estimate | None = None
    mean_completion_tokens: float | None = None


class Setting(_Data):
    """One line of the run's settings, in the order and the words in which the report shows it."""

    name: str
    value: str


class RunFacts(_Data):
    """Where the report's numbers come from."""

    name: str
    task: str
    base_model: str
    selection_split: Literal["validation", "test"] = "validation"
    """`test` is shown as what it is: selection on the split that is reported."""
    config_digest: str | None = None
    seed: int | None = None
    state: Literal["finished", "running", "stopped"] = "finished"
    proposer: str | None = None
    feedback: str | None = None
    started: datetime | None = None
    finished: datetime | None = None
    test_opened: datetime | None = None
    """When the sealed test split was opened; None: it never was."""
    constructed_task: bool = False
    """The task and base policy were made so that reward design matters (the testbed); the report says so."""
    settings: tuple[Setting, ...] = ()
    """Training, screening and retraining settings worth reading."""
    methods: str | None = None
    """A paragraph on what was done, fit for a paper; None: one is written from the other facts."""
    seconds: dict[str, float] = {}
    """Seconds of work by phase, jobs side by side added up: propose, gate, screen, evaluate, retrain."""
    llm_calls: int | None = None
    llm_tokens: int | None = None
    cost_usd: float | None = None
    """None: unknown."""
    versions: dict[str, str] = {}
    hardware: str | None = None
    gate: str | None = None
    """Sandbox level and interpreter under which candidates ran."""


class UnusableReply(_Data):
    """Something a proposer answered that did not become a candidate."""

    reason: str
    detail: str = ""
    excerpt: str = ""


class Round(_Data):
    number: int
    requested: int | None = None
    unusable: tuple[UnusableReply, ...] = ()
    seconds: float | None = None


class GateCheck(_Data):
    name: str
    passed: bool
    reason: str = ""


class Sample(_Data):
    """A completion seen in training or evaluation. All of it is untrusted text."""

    prompt: str
    completion: str
    answer: str
    step: int | None = None
    correct: bool | None = None
    total: float | None = None
    scores: dict[str, float | None] = {}


class Flag(_Data):
    """A sign of reward hacking, with the figure that raised it."""

    name: str
    detail: str
    """The figures in words."""
    value: float | None = None
    threshold: float | None = None
    """That the value reached."""
    examples: tuple[Sample, ...] = ()


class Candidate(_Data):
    """One proposed reward and everything that became of it."""

    name: str
    identity: str
    round: int
    status: Literal["screened", "rejected", "duplicate", "stopped", "failed", "pending"]
    """`rejected` by the gate; `duplicate`: like an earlier one before training; `stopped` after fewer steps than the
    others, by successive halving; `failed`: its run ended without a score; only `screened` ones are ever ranked."""
    code: str = ""
    family: str = ""
    origin: str = ""
    description: str = ""
    parents: tuple[str, ...] = ()
    """Identities."""
    checks: tuple[GateCheck, ...] = ()
    prescreening: PreScreening | None = None
    """Its figures on rollouts of the base policy, made before it was trained."""
    failure: str | None = None
    """Why it is unscored."""
    scores: Scores | None = None
    """On the selection split; None unless screened."""
    rung: int | None = None
    """Steps after which it was stopped."""
    rung_scores: Scores | None = None
    """On the selection split at that rung; never ranked with scores of other steps."""
    firing_rate: float | None = None
    reward_mean: float | None = None
    reward_std: float | None = None
    curves: tuple[dict[str, Any], ...] = ()
    """One entry per logged step, with `step`; any other key with a number is a curve."""
    samples: tuple[Sample, ...] = ()
    flags: tuple[Flag, ...] = ()


class Entry(_Data):
    """One line of the final leaderboard: an ensemble, a single reward or a control, retrained."""

    name: str
    kind: Literal["ensemble", "single", "control"]
    control: str | None = None
    """Which control it is: `untrained base`, `base rewards only`, `random draw 1 of 5`, ..."""
    members: tuple[str, ...] = ()
    aggregation: str | None = None
    steps: int | None = None
    validation: Scores | None = None
    test: Scores | None = None
    winner: bool = False
    """Named on validation before the test split was opened."""
    listed_apart: str | None = None
    """Why it may not be ranked with the others (such as other steps); None: it is ranked."""
    failure: str | None = None
    """Why it is unscored."""


class PairwiseTest(_Data):
    """One pair of entries compared on the same questions."""

    first: str
    second: str
    first_only: int
    second_only: int
    difference: Estimate
    """Accuracy of the first minus that of the second."""
    p_value: float
    method: str
    bonferroni: float
    holm: float
    benjamini_hochberg: float | None = None
    equivalence_p: float | None = None
    """Of two one-sided tests with the table's margin."""
    seeds_difference: Estimate | None = None
    """The difference over all seeds of both; None with a single seed."""
    seeds_p: float | None = None
    """Two-sided p-value of no difference over seeds and questions."""


class PairwiseTable(_Data):
    """A declared family of pairwise tests."""

    split: Literal["validation", "test"]
    tests: tuple[PairwiseTest, ...]
    level: float = 0.05
    margin: float | None = None
    """Equivalence margin in accuracy."""
    note: str = ""


class ReportData(_Data):
    run: RunFacts
    rounds: tuple[Round, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    baselines: tuple[Entry, ...] = ()
    """Controls that were screened like candidates, such as the untrained base and base rewards only; drawn into
    the figure of the rounds."""
    entries: tuple[Entry, ...] = ()
    pairwise: PairwiseTable | None = None
    notes: tuple[str, ...] = ()
    """Remarks shown under the headline, one sentence each."""
