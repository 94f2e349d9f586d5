"""What a training run must move and compute, part by part, and how long a machine takes for it at the least.

The roofline model (Williams, Waterman and Patterson 2009, doi 10.1145/1498765.1498785): a part takes no less than its
bytes over the bandwidth of the memory, nor than its operations over the rate of the arithmetic. Operations are counted
as in Kaplan et al. 2020, arXiv 2001.08361, section 2.1: two per weight and token forward, and here two backward, since
the weights of the base policy are frozen and have no gradients; attention and adapters by their own products.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trainer.algorithms import algorithm_of
from trainer.grpo.memory import ModelShape, activation_bytes, adapter_parameters, cache_bytes, weight_bytes
from trainer.jobs.train import TrainingRun

ADAPTER_WIDTH = 4
"""Bytes of a weight of an adapter: they are kept in float32."""
OPTIMIZER_TRAFFIC = 28
"""Bytes per trained parameter and step: weight, gradient and AdamW's two moments read, three of them written."""


@dataclass(frozen=True, slots=True)
class Machine:
    """`bandwidth`: bytes a second from the memory that holds the model; `rate`: floating-point operations a second of
    matrix products in the precision of the job; `launch`: seconds that starting an operation takes; 0: not counted."""

    name: str
    bandwidth: float
    rate: float
    launch: float = 0.0


MACHINES = {
    machine.name: machine
    for machine in (
        Machine("a100", 2.04e12, 312e12),
        Machine("h100", 3.35e12, 989e12),
        Machine("h200", 4.8e12, 989e12),
        Machine("l40s", 0.864e12, 362e12),
        Machine("rtx-4090", 1.008e12, 165e12),
    )
}
"""GPUs by their makers' data sheets: bandwidth, and dense products in bfloat16 (A100 80 GB SXM, H100 SXM, H200 SXM)."""


@dataclass(frozen=True, slots=True)
class Part:
    """`bytes` and `operations` of a part of the work; `launches`: operations that are started, one after the other."""

    name: str
    bytes: float
    operations: float
    launches: float = 0.0

    def seconds(self, machine: Machine) -> float:
        """At the least, and what starting the operations adds."""
        bound = max(self.bytes / machine.bandwidth, self.operations / machine.rate)
        return bound + self.launches * machine.launch

    def times(self, count: float, name: str) -> Part:
        return Part(name, self.bytes * count, self.operations * count, self.launches * count)


LAUNCHES_PER_LAYER = 30
"""Operations that a layer of a decoder starts, roughly: seven products, attention, norms, rotations, adapters."""


def step_parts(run: TrainingRun, shape: ModelShape, members: int, prompt_tokens: int) -> list[Part]:
    """Of one optimizer step of `members` runs in one pack, completions as long as they may be, prompts of
    `prompt_tokens` tokens read once per group."""
    size = algorithm_of(run.algorithm).step_size(run.grpo)
    rows = members * size.decoded
    prompts = rows // run.grpo.generations
    passes = 3 if run.hardware.dtype == "bfloat16" else 2  # forward, again under checkpointing, backward
    trained = members * size.trained
    # Of a group's prompt the trainer reads one copy on a CPU (trainer.grpo.shared_prompts); logits are of completions.
    read = trained // run.grpo.generations if run.hardware.device == "cpu" else trained
    completion = run.grpo.max_completion_tokens
    headed = trained * completion
    tokens = read * prompt_tokens + trained * (completion - 1)  # nothing follows the last one
    attended = read * prompt_tokens**2 / 2 + trained * completion * (prompt_tokens + completion / 2)
    lora = adapter_parameters(shape, run.lora.rank, run.lora.target_modules)
    width = run.hardware.width
    micro_batches = math.ceil(size.trained / (run.grpo.completions_per_forward or size.trained))
    training = Part(
        "loss and gradients",
        micro_batches * passes * (weight_bytes(shape, run.hardware) + members * lora * ADAPTER_WIDTH)
        + 2 * activation_bytes(shape, tokens, width, checkpointed=False),
        passes * (_product_operations(shape, tokens, headed) + 2 * lora * tokens)
        + 2 * lora * tokens  # the gradients of the adapters' own weights
        + (passes + 1) * _attention_operations(shape, attended),
        micro_batches * passes * shape.layers * LAUNCHES_PER_LAYER,
    )
    optimizer = Part("optimizer", members * lora * OPTIMIZER_TRAFFIC, 20 * members * lora, 12 * 2 * 7 * shape.layers)
    return [*_generation(run, shape, members, rows, prompts, prompt_tokens), training, optimizer]


def evaluation_parts(
    run: TrainingRun, shape: ModelShape, members: int, prompt_tokens: int, questions: int
) -> list[Part]:
    """Of greedy answers of `members` policies to so many questions, `evaluation.batch_size` of each together."""
    together = run.evaluation.batch_size if run.evaluation is not None else questions
    rows = members * min(together, questions)
    calls = math.ceil(questions / together)
    parts = _generation(run, shape, members, rows, rows, prompt_tokens)
    return [part.times(calls, f"evaluation: {part.name}") for part in parts]


def seconds(parts: Sequence[Part], machine: Machine) -> float:
    return sum(part.seconds(machine) for part in parts)


def _generation(
    run: TrainingRun, shape: ModelShape, members: int, rows: int, prompts: int, prompt_tokens: int
) -> list[Part]:
    """Reading the prompts, and decoding `rows` completions token by token."""
    width = run.hardware.width
    steps = run.grpo.max_completion_tokens
    lora = adapter_parameters(shape, run.lora.rank, run.lora.target_modules)
    weights = weight_bytes(shape, run.hardware) + members * lora * ADAPTER_WIDTH
    if not shape.tied:
        weights -= shape.embeddings / 2 * width  # looked up, not read
    read = prompts * prompt_tokens
    # Before token t, counted from 0, every row holds the prompt and t tokens.
    held = rows * (steps * prompt_tokens + steps * (steps - 1) / 2)
    return [
        Part(
            "reading prompts",
            weights + cache_bytes(shape, read, width),
            _product_operations(shape, read, prompts)
            + 2 * lora * read
            + _attention_operations(shape, prompts * prompt_tokens**2 / 2),
            shape.layers * LAUNCHES_PER_LAYER,
        ),
        Part(
            "decoding",
            steps * weights + cache_bytes(shape, 1, width) * held,
            _product_operations(shape, rows * steps, rows * steps)
            + 2 * lora * rows * steps
            + _attention_operations(shape, held),
            steps * shape.layers * LAUNCHES_PER_LAYER,
        ),
    ]


def _product_operations(shape: ModelShape, tokens: float, headed: float) -> float:
    """Of one pass of so many tokens through the linear layers, `headed` of them through the head too."""
    return 2 * (shape.parameters - shape.embeddings) * tokens + 2 * shape.vocabulary * shape.hidden * headed


def _attention_operations(shape: ModelShape, pairs: float) -> float:
    """Of one pass in which so many pairs of tokens are looked at: each with those before it."""
    return 4 * shape.layers * shape.heads * shape.head_size * pairs
