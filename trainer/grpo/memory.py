"""How many candidates fit into memory together: a plain estimate from the shape of the base policy."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from trainer.algorithms import algorithm_of
from trainer.jobs.settings import Hardware
from trainer.jobs.train import TrainingRun

USABLE_SHARE = 0.8
"""Of the memory that is free, what a pack may be planned to fill: the estimate is rough, and allocators waste some."""
LOGITS_TOKENS = 1024
"""TRL computes the logits of so many tokens at a time, at most."""
QUANTISED_BLOCK = 64
"""Weights in 4 bits that share one scale in float32 (bitsandbytes' default)."""
OPTIMIZER_BYTES = 16
"""Of a trained parameter: weight, gradient and AdamW's two moments, in float32."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What the memory of a decoder depends on. `parameters`: of the whole model; `embeddings`: those of its tokens and
    of its head among them."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    key_value_heads: int
    head_size: int
    vocabulary: int
    parameters: int
    embeddings: int
    tied: bool

    @classmethod
    def of(cls, config: Any) -> ModelShape:
        """From a transformers configuration of the Llama family, or one with the same names."""
        text = config.get_text_config()
        head_size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        key_value_heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
        intermediate = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
        attention = 2 * text.hidden_size * head_size * (text.num_attention_heads + key_value_heads)
        embeddings = text.vocab_size * text.hidden_size * (1 if config.tie_word_embeddings else 2)
        per_layer = attention + 3 * text.hidden_size * intermediate
        return cls(
            layers=text.num_hidden_layers,
            hidden=text.hidden_size,
            intermediate=intermediate,
            heads=text.num_attention_heads,
            key_value_heads=key_value_heads,
            head_size=head_size,
            vocabulary=text.vocab_size,
            parameters=embeddings + text.num_hidden_layers * per_layer,
            embeddings=embeddings,
            tied=bool(config.tie_word_embeddings),
        )


def weight_bytes(shape: ModelShape, hardware: Hardware) -> float:
    """Of the base policy: only its linear layers are quantised, not the embeddings and the head."""
    width = hardware.width
    linear = {"none": width, "8bit": 1.0, "4bit": 0.5 + 4 / QUANTISED_BLOCK}[hardware.quantization]
    return shape.embeddings * width + (shape.parameters - shape.embeddings) * linear


def cache_bytes(shape: ModelShape, tokens: int, width: int) -> int:
    """Keys and values of one row of so many tokens; `width`: bytes of a number."""
    return 2 * shape.layers * shape.key_value_heads * shape.head_size * tokens * width


def activation_bytes(shape: ModelShape, tokens: int, width: int, checkpointed: bool) -> int:
    """What one row of so many tokens keeps for the backward pass.

    Of a layer: its input, two normed inputs, queries, keys, values, attention's output, gate, up and their product;
    under checkpointing only the inputs of all layers and the whole of one.
    """
    attention = (2 * shape.heads + 2 * shape.key_value_heads) * shape.head_size
    layer = tokens * (4 * shape.hidden + attention + 3 * shape.intermediate) * width
    if checkpointed:
        return shape.layers * tokens * shape.hidden * width + layer
    return shape.layers * layer


def adapter_parameters(shape: ModelShape, rank: int, targets: Sequence[str]) -> int:
    """Of one adapter."""
    queries, keys = shape.heads * shape.head_size, shape.key_value_heads * shape.head_size
    sizes = {
        "q_proj": shape.hidden + queries,
        "k_proj": shape.hidden + keys,
        "v_proj": shape.hidden + keys,
        "o_proj": queries + shape.hidden,
        "gate_proj": shape.hidden + shape.intermediate,
        "up_proj": shape.hidden + shape.intermediate,
        "down_proj": shape.intermediate + shape.hidden,
    }
    widest = max(sizes.values())
    return shape.layers * rank * sum(sizes.get(target, widest) for target in targets)


def adapter_bytes(shape: ModelShape, rank: int, targets: Sequence[str]) -> int:
    """One adapter with its gradients and the optimizer's state."""
    return OPTIMIZER_BYTES * adapter_parameters(shape, rank, targets)


def candidate_bytes(run: TrainingRun, shape: ModelShape, prompt_tokens: int) -> int:
    """What one more member costs a pack: its adapter, and the larger of its caches and its activations.

    `prompt_tokens`: of a long prompt.
    """
    settings, size = run.grpo, algorithm_of(run.algorithm).step_size(run.grpo)
    width = run.hardware.width
    turns = 2 if run.evaluation is not None and run.evaluation.second_turn else size.turns
    tokens = prompt_tokens + turns * settings.max_completion_tokens  # a later prompt holds earlier responses
    trained = (settings.completions_per_forward or settings.completions) * size.trained // settings.completions
    cache = size.decoded * cache_bytes(shape, tokens, width)
    if run.evaluation is not None:
        cache = max(cache, run.evaluation.batch_size * cache_bytes(shape, tokens, width))
    activations = trained * activation_bytes(shape, tokens, width, checkpointed=width == 2)
    return adapter_bytes(shape, run.lora.rank, run.lora.target_modules) + max(cache, activations)


def members_that_fit(run: TrainingRun, shape: ModelShape, prompt_tokens: int, free_bytes: int) -> int:
    """The largest pack of such jobs that the memory holds beside the base policy; 1 even where that seems too many."""
    logits = LOGITS_TOKENS * shape.vocabulary * 4
    left = USABLE_SHARE * free_bytes - weight_bytes(shape, run.hardware) - logits
    return max(1, int(left // candidate_bytes(run, shape, prompt_tokens)))


def free_memory(gpus: Sequence[str] = ()) -> int:
    """Bytes that a new process can have: on any of those GPUs, named as in CUDA_VISIBLE_DEVICES, or of this machine.

    Asks the driver's own tool about the GPU, since a process that asks through torch keeps a part of it to itself.
    """
    if gpus:
        command = ["nvidia-smi", f"--id={','.join(gpus)}", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        return min(int(line) for line in lines) * 2**20
    return min([psutil.virtual_memory().available, *_group_limit()])


def _group_limit() -> list[int]:
    """What is left of the memory limit of this process's control group, if it has one."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = int((folder / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return []
    return [] if limit == "max" else [max(0, int(limit) - used)]
