"""A pipeline as data: base -> supervised fine-tuning -> GRPO -> evaluation on several suites (arXiv 2603.14041)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator

from eval.engines.prompting import Prompting
from eval.tasks.base import TaskReference
from rewards_generated.sandbox.settings import SandboxSettings
from trainer.jobs.evaluate import Suite
from trainer.jobs.fine_tune import PairSource
from trainer.jobs.settings import Frozen, GrpoSettings, Hardware, LoraSettings

Policy = Literal["base", "sft", "grpo"]
POLICIES: tuple[Policy, ...] = ("base", "sft", "grpo")


class SftStage(Frozen):
    tuning: Literal["full", "lora", "none"] = "lora"
    """All weights, a LoRA adapter that is then merged into them, or no supervised stage."""
    source: PairSource = PairSource()
    steps: int = Field(default=60, ge=1)
    """Optimizer steps."""
    batch_size: int = Field(default=16, ge=1)
    """Pairs per step."""
    learning_rate: float = Field(default=5e-4, gt=0)
    """Peak learning rate."""
    learning_rate_schedule: Literal["constant", "linear", "cosine"] = "cosine"
    """How the learning rate falls after the warm-up."""
    warmup_fraction: float = Field(default=0.1, ge=0, le=1)
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay of AdamW."""
    max_gradient_norm: float = Field(default=1.0, gt=0)
    """Gradients are clipped to this norm."""
    max_length: int = Field(default=2048, ge=1)
    """Tokens of prompt and completion together; longer pairs are cut."""
    mixed_precision: bool = False
    """Matrix products in bfloat16, with weights and optimizer as `hardware.dtype` says."""
    lora: LoraSettings = LoraSettings(rank=16, alpha=64)
    """The adapter, where one is trained."""
    checkpoint_steps: int = Field(default=50, ge=1)
    """Steps between checkpoints, from the last of which an interrupted stage goes on."""


class GrpoStage(Frozen):
    tuning: Literal["full", "lora", "none"] = "lora"
    """All weights, a LoRA adapter that is then merged into them, or no GRPO stage."""
    rewards: dict[str, float] = Field(default={"accuracy": 1.0, "format": 1.0, "four_family_reflection": 1.0})
    """Weight of each reward in the sum; 0: measured and not paid. Names: accuracy, format,
    gated_four_family_reflection, a base reward, one of the library, or a file that ends in .py."""
    settings: GrpoSettings
    """The GRPO run."""
    lora: LoraSettings = LoraSettings()
    """The adapter, where one is trained."""
    failure_rate_limit: float = Field(default=0.1, ge=0, le=1)
    """Share of reward calls that may fail before the stage is marked failed."""

    @field_validator("rewards")
    @classmethod
    def _something_is_paid(cls, weights: dict[str, float]) -> dict[str, float]:
        if not any(weights.values()):
            raise ValueError("needs at least one reward with a weight other than 0")
        return weights


class EvaluationStage(Frozen):
    policies: tuple[Policy, ...] = POLICIES
    """Which policies answer: base, and what sft and grpo left, as far as these stages were not skipped."""
    suites: dict[str, Suite] = Field(min_length=1)
    """Suites by name, each a `task`, a `split` and a number of `questions`."""
    max_completion_tokens: int = Field(ge=1)
    """Longest answer in tokens; decoding is greedy."""
    batch_size: int = Field(default=64, ge=1)
    """Questions decoded together."""

    @field_validator("policies")
    @classmethod
    def _in_order(cls, policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
        return tuple(policy for policy in POLICIES if policy in policies)


class Pipeline(Frozen):
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the pipeline."""
    seed: int = Field(default=0, ge=0)
    """Everything random in the stages is derived from it."""
    task: TaskReference
    """The task that is trained on: `name` and its `options`."""
    base_model: str
    """Policy to start from: `testbed`, a local folder, or a hub id."""
    prompting: Prompting = Prompting()
    sft: SftStage = SftStage()
    grpo: GrpoStage
    evaluation: EvaluationStage | None = None
    """Empty: no evaluation."""
    hardware: Hardware = Hardware()
    sandbox: SandboxSettings = SandboxSettings()

    @property
    def digest(self) -> str:
        """SHA-256 of the whole description, hex."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def policies(self) -> Sequence[Policy]:
        """The base, and what the stages leave that are not skipped, in order."""
        skipped = {"sft": self.sft.tuning == "none", "grpo": self.grpo.tuning == "none"}
        return tuple(policy for policy in POLICIES if not skipped.get(policy))
