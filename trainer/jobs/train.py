"""The contract of training: GRPO runs on one base policy that train together; one by itself is a pack of one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from eval.engines.base import EngineSettings
from eval.engines.prompting import PromptFormat
from eval.prediction import Prediction
from eval.tasks.base import Split, TaskReference
from rewards_generated.ensemble import Ensemble
from rewards_generated.errors import UserError
from rewards_generated.sandbox.settings import SandboxSettings
from trainer.jobs.base import Job, Result
from trainer.jobs.folder import CHECKPOINT, MEMBERS, RESULT_FILE
from trainer.jobs.settings import AlgorithmSettings, Frozen, GrpoSettings, Hardware, Ids, LoraSettings, Prompts

MEMBERS_DIFFER_IN = frozenset({"label", "ensemble", "seed"})
"""Fields in which the runs of a job may differ."""


class EvaluationRequest(Frozen):
    """Greedy evaluation of the trained policy in the training process, right after training."""

    split: Split
    limit: int
    """The first so many questions of the split."""
    ids: Ids = None
    max_completion_tokens: int
    batch_size: int = 64
    second_turn: str | None = Field(default=None, min_length=1)
    """Phrase with which the policy is shown its answer and answers again; the second answer counts. None: one pass."""


class TrainingRun(Frozen):
    """Everything that one run depends on, beside the runs that it trains with, which decide its last bits."""

    label: str
    """For people: which candidate or ensemble. Not part of the digest."""
    base_model: str
    """`testbed`, a local folder, or a hub id."""
    base_digest: str | None = None
    """Digest of the job that made `base_model`; with it this run's digest names its content, not its place."""
    prompt_format: Prompts = PromptFormat()
    task: TaskReference
    ensemble: Ensemble
    """The whole reward: base rewards and candidates alike."""
    algorithm: AlgorithmSettings = AlgorithmSettings()
    tuning: Literal["lora", "full"] = "lora"
    lora: LoraSettings = LoraSettings()
    grpo: GrpoSettings
    seed: int
    """Decides the adapter's initial weights, the draws of generation and the order of prompts."""
    engine: EngineSettings = EngineSettings()
    evaluation: EvaluationRequest | None = None
    hardware: Hardware = Hardware()
    sandbox: SandboxSettings = SandboxSettings()
    failure_rate_limit: float = 0.1
    """Share of reward calls that may fail before the run is marked failed and stays unscored."""

    @property
    def digest(self) -> str:
        """SHA-256 of the description without its label, hex. A base made by a job counts by that job's digest."""
        base = "base_digest" if self.base_digest is None else "base_model"
        return hashlib.sha256(self.model_dump_json(exclude={"label", base}).encode()).hexdigest()

    @property
    def shared_fields(self) -> str:
        """Equal for runs that can train together: the description without the fields in which they may differ."""
        return self.model_dump_json(exclude=set(MEMBERS_DIFFER_IN))

    def require_packable(self) -> None:
        """Raises UserError for settings under which several runs would not train independently of each other."""
        refusals = (
            (self.tuning != "lora", f"tuning = {self.tuning!r}", "only LoRA adapters share a base; use 'lora'"),
            (
                self.lora.dropout > 0,
                f"lora.dropout = {self.lora.dropout:g}",
                "its random numbers would be shared; use 0",
            ),
            (
                self.grpo.optimizer != "adamw_torch",
                f"grpo.optimizer = {self.grpo.optimizer!r}",
                "its states are kept in blocks across candidates; use 'adamw_torch'",
            ),
            (
                self.grpo.loss == "bnpo" and self.grpo.completions_per_forward is not None,
                "grpo.loss = 'bnpo' with grpo.completions_per_forward",
                "it weighs by the tokens of a micro-batch, and a pack's hold other rows than those of a run by itself; "
                "leave that field empty",
            ),
        )
        for refused, setting, why in refusals:
            if refused:
                raise UserError(f"{setting} cannot be packed: {why}, or set executor.pack to 1")


class TrainJob(Job):
    """Runs that train together. All of it runs, or none."""

    kind: Literal["train"] = "train"
    members: tuple[TrainingRun, ...] = Field(min_length=1)
    """In the order in which their rows stand in a batch. How many train together decides the last bits of each."""
    stop: int | None = None
    """Steps after which the members are evaluated and their states kept, so that each can go on in another job, be it
    beside others; None: they train to the end."""
    origins: tuple[str, ...] = ()
    """Per member, the digest of the job from whose kept state it goes on, which ran in a folder beside this one's;
    empty: all start from the beginning."""

    @classmethod
    def of(cls, *members: TrainingRun, **fields: Any) -> TrainJob:
        """A job of these runs, named after them."""
        first, more = members[0], len(members) - 1
        label = f"{first.label} and {more} more" if more else first.label
        return cls(**{"label": label, "members": members, **fields})

    @model_validator(mode="before")
    @classmethod
    def _placed(cls, values: Any) -> Any:
        """It runs where its members do."""
        if isinstance(values, dict) and "hardware" not in values and values.get("members"):
            first = values["members"][0]
            found = first.hardware if isinstance(first, TrainingRun) else first.get("hardware", Hardware())
            return {**values, "hardware": found}
        return values

    @model_validator(mode="after")
    def _check(self) -> TrainJob:
        """Raises UserError for runs that cannot train together."""
        first = self.members[0]
        shared = first.model_dump(exclude=set(MEMBERS_DIFFER_IN))
        for member in self.members:
            for field, value in member.model_dump(exclude=set(MEMBERS_DIFFER_IN)).items():
                if value != shared[field]:
                    raise UserError(
                        f"the runs {first.label!r} and {member.label!r} differ in `{field}`; "
                        f"runs that train together may differ only in {', '.join(sorted(MEMBERS_DIFFER_IN))}"
                    )
        if len(self.members) > 1:
            first.require_packable()
        if self.hardware != first.hardware:
            raise UserError(f"the job {self.label!r} and its runs differ in `hardware`; give both the same")
        if self.stop is not None and not 0 < self.stop < first.grpo.steps:
            raise UserError(f"stop = {self.stop} of a job is not below the {first.grpo.steps} steps of its runs")
        if self.origins and len(self.origins) != len(self.members):
            raise UserError(f"{len(self.members)} runs of a job have {len(self.origins)} origins; give one each")
        digests = [member.digest for member in self.members]
        if len(set(digests)) < len(digests):
            raise UserError("two runs of a job are the same; give each once")
        return self

    @property
    def shared(self) -> TrainingRun:
        """A member, for what is the same in all."""
        return self.members[0]

    @property
    def digest(self) -> str:
        """SHA-256 over the members' digests in order, the stop, and the origins, hex."""
        parts = ["train", *(member.digest for member in self.members)]
        if self.stop is not None:
            parts.append(f"stop {self.stop}")
        parts += [f"origin {origin}" for origin in self.origins]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def runs(self) -> int:
        return len(self.members)

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.shared.base_model,)

    @property
    def siblings(self) -> tuple[str, ...]:
        return tuple(f"{origin}/{name}" for origin in dict.fromkeys(self.origins) for name in (CHECKPOINT, RESULT_FILE))

    @property
    def tasks(self) -> tuple[TaskReference, ...]:
        return (self.shared.task,)

    @property
    def options(self) -> dict[str, Any]:
        return {"engine.options": self.shared.engine.options, "algorithm.options": self.shared.algorithm.options}

    @property
    def sandboxes(self) -> tuple[SandboxSettings, ...]:
        return (
            (self.shared.sandbox,)
            if any(not reward.is_base for run in self.members for reward in run.ensemble.members)
            else ()
        )


def member_folder(folder: Path, member: TrainingRun) -> Path:
    """Where the adapter and the result of a member lie, in the folder of its job."""
    return folder / MEMBERS / member.digest


class RewardStatistics(Frozen):
    """What one member of the ensemble did over the whole run, all completions together."""

    name: str
    calls: int
    failures: int
    firing_rate: float | None
    """Share of scored completions with a value other than 0; None if nothing was scored."""
    mean: float | None
    std: float | None


class SampleCompletion(Frozen):
    step: int
    prompt: str
    completion: str
    answer: str
    scores: dict[str, float | None]
    """Unweighted score per member."""
    total: float | None


class RunResult(Result):
    """What one run came to. `failure` is None exactly when it finished and may be scored. Its `seconds` are its share
    of the job's, those of the jobs that it came through included."""

    adapter: str | None = None
    """Folder of the trained PEFT adapter (or full model), relative to the run's own folder."""
    curves: tuple[dict[str, Any], ...] = ()
    """One entry per logged step: step, loss, reward mean and std, per-member mean, std and firing rate (and weight, if
    it has a schedule), mean completion length in tokens, extraction rate, accuracy of the rollouts, entropy, gradient
    norm."""
    rewards: tuple[RewardStatistics, ...] = ()
    samples: tuple[SampleCompletion, ...] = ()
    predictions: tuple[Prediction, ...] = ()
    """Of `evaluation`, in the split's order; empty when none was asked for."""

    @property
    def files(self) -> tuple[str, ...]:
        return () if self.adapter is None else (self.adapter,)


class TrainResult(Result):
    """What comes back: one result per member, in the job's order, unless the job failed as a whole."""

    members: tuple[RunResult, ...] = ()
    """Of a job with a stop: the results so far, evaluated there."""
