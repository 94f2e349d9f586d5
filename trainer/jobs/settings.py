"""Settings that descriptions of jobs share: adapters, GRPO, and where a job runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from eval.engines.policy import Quantization
from eval.engines.prompting import PromptFormat


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Ids = Annotated[tuple[str, ...] | None, Field(exclude_if=lambda ids: ids is None)]
"""Of the questions that are named beside it, those with these ids alone; None: all, and then it is no part of a
description."""

Prompts = Annotated[PromptFormat, Field(exclude_if=lambda format: format == PromptFormat())]
"""How the policy is prompted; in no digest where it is as the tokenizer says."""


class LoraSettings(Frozen):
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


class GrpoSettings(Frozen):
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

    @property
    def completions(self) -> int:
        """Of one step."""
        return self.prompts_per_step * self.generations


class Hardware(Frozen):
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where a job runs; `auto` is the GPU where there is one."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of the base policy's weights."""
    quantization: Annotated[Quantization, Field(exclude_if=lambda bits: bits == "none")] = "none"
    """Hold the weights of the base policy's linear layers in 8 bits (LLM.int8, arXiv 2208.07339) or 4 (NF4, arXiv
    2305.14314), by bitsandbytes. What is trained is a LoRA adapter, in float32 as ever."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of the training process; part of the description because it decides the last bits."""

    @property
    def width(self) -> int:
        """Bytes of a number of that precision."""
        return 2 if self.dtype == "bfloat16" else 4


class AlgorithmSettings(Frozen):
    name: str = "grpo"
    """How a step turns rollouts into a loss: `grpo`, `multilayer` (with a second layer in which the policy corrects its
    own responses, arXiv 2506.04746), or `package.module:Class`."""
    options: dict[str, Any] = {}
    """Options of that algorithm."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """A name alone will do."""
        return {"name": value} if isinstance(value, str) else value


class SftSettings(Frozen):
    """One supervised run. A step is one optimizer step on `batch_size` pairs; the loss is on completions only."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    learning_rate_schedule: Literal["constant", "linear", "cosine"] = "cosine"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    adam_beta2: float = 0.999
    max_gradient_norm: float = 1.0
    max_length: int = 2048
    """Tokens of prompt and completion together; longer pairs are cut."""
    tuning: Literal["full", "lora"] = "full"
    lora: LoraSettings = LoraSettings()
    group_by_prompt_length: bool = False
    """Batches of prompts of like length, in random order, for less padding. Not of pairs of like length: the mean over
    a batch's tokens would then weigh the tokens of short completions more, and the model would prefer to be brief."""
    mixed_precision: bool = False
    """Matrix products in bfloat16 with weights and optimizer in float32."""
    checkpoint_steps: int | None = None
    """Steps between checkpoints that a later call can resume from; None: no checkpoint."""
    seed: int = 0
    """Decides the order of the pairs, the weights of a fresh model and those of a fresh adapter."""
