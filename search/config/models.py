"""The configuration of a search: typed, frozen, every field with its help in the string below it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from eval.audit.settings import AuditSettings
from eval.engines.base import EngineSettings
from eval.engines.prompting import Prompting
from eval.second_turn import SECOND_TURN
from eval.tasks.base import TaskReference
from rewards_generated.contract import CONTRACTS, Contract
from rewards_generated.ensemble import Aggregation
from rewards_generated.errors import UserError
from rewards_generated.gate.settings import GateSettings
from rewards_generated.reward_set import Proposes
from rewards_generated.sandbox.settings import SandboxSettings
from search.config.halving import Halving
from search.config.names import FeedbackMode
from search.config.race import RaceStage
from search.config.transfer import TransferSetting
from search.trackers.base import TrackerName
from trainer.algorithms import Unread, algorithm_of
from trainer.jobs.settings import AlgorithmSettings, GrpoSettings, Hardware, LoraSettings

POOL = 4
"""Questions sampled for strata, as a multiple of those drawn."""

ENSEMBLE_NAMES = ("top-N", "correctness-family", "diverse-rounds", "decorrelated-N", "greedy")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class BaseRollouts(_Section):
    questions: int = Field(default=64, ge=1)
    """Train questions that the base policy answers once, for gate probes, pre-screening, prompts and z-score
    statistics."""
    per_question: int = Field(default=8, ge=1)
    """Sampled completions per question."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature of those completions."""


class SearchSettings(_Section):
    rounds: int = Field(ge=1)
    """Rounds of propose, gate, screen, rank."""
    candidates_per_round: int = Field(ge=1)
    """Candidates asked of the proposer in every round."""
    proposes: Proposes = "reward"
    """What a candidate is: `reward`, one function beside the base rewards, or `reward_set`, one to three functions with
    a weight each, maybe a schedule of it over the run, and which base rewards they replace."""
    contracts: tuple[Contract, ...] = Field(default=("completion",), min_length=1)
    """What rewards may see: `completion`, one at a time; `group`, all completions of a prompt together. The gate
    rejects others. `evolve` writes for `completion` alone."""
    reflection_minimum: int = Field(default=0, ge=0)
    """At least this many of them must be reflection rewards."""
    feedback: FeedbackMode = "ranked"
    """What later rounds are told: the true results of earlier candidates (`ranked`), the candidates alone (`none`),
    results permuted over them (`shuffled`), or nothing, not even that there were any (`independent`: every round is
    asked the first question again)."""
    base_rewards: tuple[str, ...] = ("format_exact", "format_approximate", "answer_check")
    """Trusted rewards that are part of every run, summed with the candidate."""
    select_on: Literal["validation", "test"] = "validation"
    """Split that ranks candidates; `test` only to reproduce the paper, and labelled as selection on the test split."""
    base_rollouts: BaseRollouts = BaseRollouts()

    @field_validator("contracts")
    @classmethod
    def _in_one_order(cls, named: tuple[Contract, ...]) -> tuple[Contract, ...]:
        """Without doubles, so that equal settings are written alike."""
        return tuple(contract for contract in CONTRACTS if contract in named)


class ProposerSettings(_Section):
    name: str = "evolve"
    """`evolve` (no LLM), `litellm`, `manual` (ask and tell), or `package.module:Class`."""
    options: dict[str, Any] = {}
    """Options of that proposer."""


class PrescreenSettings(_Section):
    enabled: bool = True
    """Score what passed the gate on all base rollouts before it is trained: agreement with correctness, spread within
    groups, length, likeness to earlier candidates; for the prompt and the report."""
    duplicate_correlation: float | None = Field(default=0.999, gt=0, le=1)
    """A candidate whose ranks AND advantages on the base rollouts both correlate this much with those of an earlier one
    is not trained; empty: all are. At the default no two rewards of the library are duplicates of each other, and half
    of the mutations of `evolve` are."""

    @property
    def rejects_duplicates(self) -> bool:
        return self.enabled and self.duplicate_correlation is not None


class ScreeningSettings(_Section):
    grpo: GrpoSettings
    """The short GRPO run that every candidate gets."""
    algorithm: AlgorithmSettings = AlgorithmSettings()
    """How policies are trained, in screenings and retrainings alike: a name, or `name` with `options`."""
    evaluation_turns: Literal[1, 2] | None = None
    """2: the policy is shown its answer with second_turn_phrase and answers again, and the second answer counts; empty:
    2 with an algorithm that trains it (multilayer), else 1."""
    second_turn_phrase: str | None = Field(default=None, min_length=1)
    """What the second prompt of an evaluation ends with; empty: the algorithm's own phrase, or the usual one."""
    lora: LoraSettings = LoraSettings()
    """The adapter that is trained, in screenings and retrainings alike."""
    seeds: int = Field(default=1, ge=1)
    """Runs per candidate; every candidate of the search gets the same seeds."""
    control_seeds: int = Field(default=3, ge=1)
    """Runs of the base rewards alone, at least `seeds`: from them, and from whatever else was trained more than once,
    comes the variance between training seeds that every interval of the search holds. With 1, and one seed for
    candidates and finalists, it is unknown."""
    earlier_runs: tuple[str, ...] = ()
    """Folders of earlier searches of the same task, base policy and training, whose variance between training seeds is
    pooled with this search's own. Read at the start alone."""
    questions: int = Field(ge=1)
    """Questions of the validation split that score a candidate."""
    question_strata: int | None = Field(default=None, ge=2)
    """Draw these questions from so many strata of equal size, by how often the untrained policy answers rightly: it
    first samples search.base_rollouts.per_question answers to each of `strata_pool`. Empty: the first of the split."""
    strata_pool: int | None = Field(default=None, ge=2)
    """Questions of the validation split that are sampled for that, more than `questions`: the strata save the more the
    larger it is. Empty: four times `questions`, or as many as the split has."""
    evaluation_batch_size: int = Field(default=64, ge=1)
    """Questions decoded together in evaluation."""
    failure_rate_limit: float = Field(default=0.1, ge=0, le=1)
    """Share of reward calls that may fail before a run is marked failed and stays unscored."""
    halving: Halving = Halving()
    """Successive halving: the worst of a round stop early."""
    race: tuple[RaceStage, ...] = ()
    """Racing: the first of a round are screened over further seeds, stage by stage, such as [{share: 0.3, seeds: 3}];
    candidates then rank by means shrunk by the luck of their seeds. Empty: all have `seeds`."""

    @model_validator(mode="after")
    def _rungs_below_the_end(self) -> ScreeningSettings:
        self.halving.require_below(self.grpo.steps)
        return self

    @model_validator(mode="after")
    def _check(self) -> ScreeningSettings:
        """Raises UserError for an algorithm that is not known or does not fit, and a phrase that nothing would use."""
        algorithm = algorithm_of(self.algorithm)
        algorithm.check(self.grpo)
        if self.second_turn_phrase is not None and self.second_turn is None and not isinstance(algorithm, Unread):
            raise UserError(
                f"`screening.second_turn_phrase` = {self.second_turn_phrase!r} has no effect where evaluations have "
                "one turn; set screening.evaluation_turns to 2, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _strata_hold_questions(self) -> ScreeningSettings:
        strata, pool = self.question_strata, self.strata_pool
        if strata is None and pool is not None:
            raise UserError(
                f"`screening.strata_pool` = {pool} has no effect without strata; set screening.question_strata too, or "
                "leave it out"
            )
        if strata is not None and 2 * strata > self.questions:
            raise UserError(
                f"`screening.question_strata` = {strata} leaves fewer than two of `screening.questions` = "
                f"{self.questions} to a stratum; set at most {self.questions // 2}"
            )
        if pool is not None and pool <= self.questions:
            raise UserError(
                f"`screening.strata_pool` = {pool} leaves nothing to choose: `screening.questions` = {self.questions} "
                f"are drawn from it; set more, such as {POOL * self.questions}"
            )
        return self

    @property
    def control_runs(self) -> int:
        """Of the base rewards alone."""
        return max(self.seeds, self.control_seeds)

    @property
    def second_turn(self) -> str | None:
        """The phrase of a second turn in evaluations; None: they have one turn."""
        trained = algorithm_of(self.algorithm).second_turn
        turns = self.evaluation_turns or (1 if trained is None else 2)
        return (self.second_turn_phrase or trained or SECOND_TURN) if turns == 2 else None

    def completions(self, steps: int) -> int:
        """Sampled in a training run of so many steps."""
        return algorithm_of(self.algorithm).completions(self.grpo, steps)


class RandomControls(_Section):
    first_round: int = Field(default=0, ge=0)
    """Random draws from the candidates of the first round alone, of the winner's size."""
    pool: int = Field(default=5, ge=0)
    """Random draws from all scored candidates, of the winner's size."""


class GreedySettings(_Section):
    size_limit: int = Field(default=5, ge=2)
    """Most members of `greedy`, which grows by one short-listed candidate at a time."""
    short_list: int = Field(default=3, ge=1)
    """Additions that are tried by a short run at every step: in turn the best-screened candidate, and the one with
    which the ensemble's advantages on the base rollouts agree most with correctness."""
    steps: int | None = Field(default=None, ge=1)
    """GRPO steps of a short run; empty: as many as a screening has."""
    seeds: int | None = Field(default=None, ge=1)
    """Runs per addition, on seeds of their own; empty: as many as a screening has."""
    least_gain: float = Field(default=0.01, ge=0, lt=1)
    """Accuracy on the split that ranks by which the best addition must improve for another step to follow."""


class FinalsSettings(_Section):
    ensembles: tuple[str, ...] = ("top-3", "top-5", "top-7", "top-10", "correctness-family", "diverse-rounds")
    """Ensembles to retrain, as far as the scored candidates allow: top-N, correctness-family, diverse-rounds,
    decorrelated-N (down the ranking, without what is too like a better one), greedy (grown by short runs)."""
    decorrelation_bound: float = Field(default=0.7, gt=0, le=1)
    """A candidate joins decorrelated-N, and is short-listed for greedy, only if its absolute rank correlation with
    every member on the base rollouts is below this."""
    greedy: GreedySettings = GreedySettings()
    seeds: int = Field(default=3, ge=1)
    """Fresh seeds over which every finalist is retrained."""
    control_seeds: int = Field(default=3, ge=1)
    """The same for the base rewards alone, at least `seeds`: every finalist is compared with them, and their runs tell
    how much training seeds matter."""
    steps: int | None = Field(default=None, ge=1)
    """GRPO steps of a retraining; empty: as many as a screening has."""
    other_steps: int | None = Field(default=None, ge=1)
    """Also train the top-5 with this many steps, listed apart (the paper's 300-step final); empty: do not."""
    base_only: bool = True
    """Retrain the base rewards alone, as a control."""
    random_controls: RandomControls = RandomControls()
    aggregation: Aggregation = "sum"
    """How members' scores become one: sum, zscore (by base-policy statistics), or group_normalised."""
    test_questions: int = Field(ge=1)
    """Questions of the sealed test split."""
    ood: tuple[str | TaskReference, ...] = ()
    """Tasks with other questions than the search's, on which finalists are evaluated after the test split was opened:
    names, or `name` with `options`. They rank and select nothing. `--ood` puts the testbed's own suites here."""
    ood_questions: int = Field(default=500, ge=2)
    """Questions of the test split of each of them, and of its matched controls."""
    ood_completion_tokens: int | None = Field(default=None, ge=1)
    """Longest completion there; empty: as long as in screening, which deeper problems may not fit into."""
    transfer: tuple[TransferSetting, ...] = ()
    """Settings under which the winner and the base rewards alone are trained again after the test split was opened,
    over the same seeds and steps, such as [{loss: dapo}, {base_model: FOLDER}]: listed apart, they select nothing."""
    equivalence_margin: float | None = Field(default=None, gt=0, lt=1)
    """Difference in accuracy too small to matter, stated beforehand: pairs of finalists are tested for differing by
    less; empty: no such test, and the report claims no equivalence."""

    @property
    def control_runs(self) -> int:
        """Of the base rewards alone, where they are retrained."""
        return max(self.seeds, self.control_seeds)

    @field_validator("ensembles")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in ENSEMBLE_NAMES and not re.fullmatch(r"(top|decorrelated)-[1-9]\d*", name):
                raise ValueError(f"{name!r} is no ensemble; choose from {', '.join(ENSEMBLE_NAMES)} (such as top-5)")
            if name.endswith("-N"):
                raise ValueError(f"{name!r} needs a number for N, such as {name[:-1]}5")
            if names.count(name) > 1:
                raise ValueError(f"{name!r} is listed twice; list it once")
        return names


class ExecutorSettings(_Section):
    name: str = "local"
    """Where jobs run: `local`, `ray` (a cluster, or this machine), `slurm`, or `package.module:Class`."""
    parallel_jobs: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    """Jobs at the same time; auto: one per GPU, and one on a CPU, or as many as a cluster has room for. With several
    GPUs each job has one to itself."""
    job_timeout_seconds: float | None = Field(default=None, ge=1)
    """Wall-clock limit of one job, after which it is stopped and stays unscored; empty: none, but that `local`
    stops training after 20 times as long as the longest of its kind took so far, and an hour at least."""
    pack: Literal["auto"] | Annotated[int, Field(ge=1)] = 1
    """Training runs that share one process and one copy of the base policy: 1, each by itself; auto, as many as memory
    holds and parallel_jobs leaves to each."""
    options: dict[str, Any] = {}
    """Further options of that executor, such as the `address` of a Ray cluster, or the `partition` of `slurm`."""


class SearchConfig(_Section):
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the search; the default run directory is made from it."""
    seed: int = Field(default=0, ge=0)
    """Everything random in the search is derived from it."""
    task: TaskReference
    """The task: `name` and its `options`."""
    base_model: str
    """Policy that every run starts from: `testbed`, a local folder, or a hub id."""
    prompting: Prompting = Prompting()
    search: SearchSettings
    proposer: ProposerSettings = ProposerSettings()
    gate: GateSettings = GateSettings()
    sandbox: SandboxSettings = SandboxSettings()
    prescreen: PrescreenSettings = PrescreenSettings()
    screening: ScreeningSettings
    audit: AuditSettings = AuditSettings()
    finals: FinalsSettings
    hardware: Hardware = Hardware()
    engine: EngineSettings = EngineSettings()
    executor: ExecutorSettings = ExecutorSettings()
    trackers: tuple[TrackerName, ...] = ()
    """Where the search and its training runs are logged too: tensorboard, trackio, wandb, mlflow. Each is an extra to
    be installed; one that fails never stops the search."""

    @field_validator("trackers")
    @classmethod
    def _each_once(cls, names: tuple[TrackerName, ...]) -> tuple[TrackerName, ...]:
        return tuple(dict.fromkeys(names))

    @model_validator(mode="after")
    def _groups_of_one_prompt(self) -> SearchConfig:
        if "group" in self.search.contracts:
            algorithm_of(self.screening.algorithm).require_one_prompt("`search.contracts` lets rewards see")
            if self.search.base_rollouts.per_question == 1:
                raise UserError(
                    "`search.contracts` lets rewards see whole groups, and search.base_rollouts.per_question = 1 has "
                    "none to try them on; use as many as screening.grpo.generations"
                )
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the whole configuration, hex."""
        return hashlib.sha256(json.dumps(self.plain(), sort_keys=True).encode()).hexdigest()

    def plain(self) -> dict[str, Any]:
        """As plain JSON values; sets are sorted, since their own order changes from process to process."""
        values: dict[str, Any] = json.loads(json.dumps(self.model_dump(), default=_plain))
        return values

    @property
    def selection_questions(self) -> int:
        """Questions of the split that ranks."""
        return self.screening.questions if self.search.select_on == "validation" else self.finals.test_questions

    @property
    def question_pool(self) -> int:
        """Of the split that ranks, the first so many questions, among which those that are asked are found."""
        screening = self.screening
        if screening.question_strata is None:
            return self.selection_questions
        return screening.strata_pool or POOL * screening.questions

    @property
    def second_turn(self) -> str | None:
        return self.screening.second_turn

    @property
    def final_steps(self) -> int:
        return self.finals.steps or self.screening.grpo.steps

    @property
    def greedy_steps(self) -> int:
        return self.finals.greedy.steps or self.screening.grpo.steps

    @property
    def greedy_seeds(self) -> int:
        return self.finals.greedy.seeds or self.screening.seeds


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, set | frozenset) else str(value)
