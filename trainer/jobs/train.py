"""The contract between the search and training: a job is a pure function of its description."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from eval.prediction import Prediction
from eval.tasks.base import Split, TaskReference
from rewards_generated.ensemble import Ensemble
from rewards_generated.errors import UserError
from rewards_generated.sandbox.settings import SandboxSettings
from trainer.multilayer.settings import MultilayerSettings


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class LoraSettings(_Frozen):
    rank: int = Field(default=32, ge=1)
    """Rank of the adapter."""
    alpha: int = Field(default=32, ge=1)
    """Scale of the adapter: its output is multiplied by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout before the adapter."""
    target_modules: tuple[str, ...] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    )
    """Linear layers that get an adapter."""


class GrpoSettings(_Frozen):
    """One GRPO run. A step is one optimizer step on `prompts_per_step * generations` completions."""

    steps: int = Field(ge=1)
    """Optimizer steps."""
    prompts_per_step: int = Field(ge=1)
    """Questions per step."""
    generations: int = Field(ge=2)
    """Completions per prompt: the size of a group."""
    max_completion_tokens: int = Field(ge=1)
    """Longest completion in tokens, in training and in evaluation."""
    learning_rate: float = Field(gt=0)
    """Peak learning rate."""
    learning_rate_schedule: Literal["constant", "linear", "cosine"] = "cosine"
    """How the learning rate falls after the warm-up."""
    warmup_fraction: float = Field(default=0.1, ge=0, le=1)
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay of AdamW."""
    max_gradient_norm: float = Field(default=1.0, gt=0)
    """Gradients are clipped to this norm."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature of the rollouts."""
    beta: float = Field(default=0.0, ge=0)
    """Weight of the KL term to the base policy."""
    loss: Literal["grpo", "dr_grpo", "dapo", "bnpo"] = "grpo"
    """How token losses are normalised."""
    scale_advantages: Literal["group", "none"] = "group"
    """Whether advantages are divided by the standard deviation of their group."""
    optimizer: Literal["adamw_torch", "adamw_8bit"] = "adamw_torch"
    """AdamW in full precision, or with 8-bit states."""
    completions_per_forward: int | None = Field(default=None, ge=1)
    """Micro-batch of the loss; None: all completions of the step at once."""


class Hardware(_Frozen):
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where a job runs; `auto` is the GPU where there is one."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of the base policy's weights."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of the training process; part of the description because it decides the last bits."""


class EvaluationRequest(_Frozen):
    """Greedy evaluation of the trained policy in the training process, right after training."""

    split: Split
    limit: int
    max_completion_tokens: int
    batch_size: int = 64
    second_turn: str | None = Field(default=None, min_length=1)
    """Phrase with which the policy is shown its answer and answers again; the second answer counts. None: one pass."""


class TrainJob(_Frozen):
    """Everything a training run depends on; any executor may run it, again if need be."""

    kind: Literal["train"] = "train"
    label: str
    """For people: which candidate or ensemble. Not part of the digest."""
    base_model: str
    """`testbed`, a local folder, or a hub id."""
    base_digest: str | None = None
    """Digest of the job that made `base_model`; with it this job's digest names its content, not its place."""
    task: TaskReference
    ensemble: Ensemble
    """The whole reward: base rewards and candidates alike."""
    algorithm: Literal["grpo", "multilayer"] = "grpo"
    multilayer: MultilayerSettings | None = None
    """Of the algorithm `multilayer`, which needs it; None for any other."""
    tuning: Literal["lora", "full"] = "lora"
    lora: LoraSettings = LoraSettings()
    grpo: GrpoSettings
    seed: int
    """Decides the adapter's initial weights, the draws of generation and the order of prompts."""
    evaluation: EvaluationRequest | None = None
    hardware: Hardware = Hardware()
    sandbox: SandboxSettings = SandboxSettings()
    failure_rate_limit: float = 0.1
    """Share of reward calls that may fail before the run is marked failed and stays unscored."""

    @model_validator(mode="after")
    def _check(self) -> TrainJob:
        """Raises UserError where the algorithm and its settings do not belong together."""
        if (self.algorithm == "multilayer") != (self.multilayer is not None):
            raise UserError(
                f"algorithm = {self.algorithm!r} of {self.label!r} does not go with "
                f"{'no ' if self.multilayer is None else ''}settings `multilayer`; give both or neither"
            )
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the description without its label, hex. A base made by a job counts by that job's digest, and
        fields that came later count where they are set."""
        left_out: dict[str, Any] = {"label": True}
        left_out["base_digest" if self.base_digest is None else "base_model"] = True
        if self.multilayer is None:
            left_out["multilayer"] = True
        if self.evaluation is not None and self.evaluation.second_turn is None:
            left_out["evaluation"] = {"second_turn"}
        return hashlib.sha256(self.model_dump_json(exclude=left_out).encode()).hexdigest()


class RewardStatistics(_Frozen):
    """What one member of the ensemble did over the whole run, all completions together."""

    name: str
    calls: int
    failures: int
    firing_rate: float | None
    """Share of scored completions with a value other than 0; None if nothing was scored."""
    mean: float | None
    std: float | None


class SampleCompletion(_Frozen):
    step: int
    prompt: str
    completion: str
    answer: str
    scores: dict[str, float | None]
    """Unweighted score per member."""
    total: float | None


class TrainResult(_Frozen):
    """What comes back. `failure` is None exactly when the run finished and may be scored."""

    digest: str
    failure: str | None = None
    """One sentence saying why the run is unscored."""
    lost: bool = False
    """The process was killed or crashed and left no result, so the failure says nothing of the job: run it again."""
    adapter: str | None = None
    """Folder of the trained PEFT adapter (or full model), relative to the job's folder."""
    curves: tuple[dict[str, Any], ...] = ()
    """One entry per logged step: step, loss, reward mean and std, per-member mean, std and firing rate, mean
    completion length in tokens, extraction rate, accuracy of the rollouts, entropy, gradient norm."""
    rewards: tuple[RewardStatistics, ...] = ()
    samples: tuple[SampleCompletion, ...] = ()
    predictions: tuple[Prediction, ...] = ()
    """Of `evaluation`, in the split's order; empty when none was asked for."""
    seconds: dict[str, float] = {}
    """Wall-clock by phase: start, train, generate, score, evaluate."""
    memory: dict[str, int] = {}
    """Peaks in bytes up to the end of training: resident, cuda (`trainer.jobs.peak_memory`); empty for a member."""
    versions: dict[str, str] = {}
