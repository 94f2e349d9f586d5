"""The least time that work can take: counted operations against torch's own counter, and the published search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.trainer.grpo.test_memory import LLAMA_3B
from tests.trainer.tiny import training_run, write_policy
from trainer.grpo.memory import ModelShape, adapter_parameters, weight_bytes
from trainer.roofline import MACHINES, Machine, Part, evaluation_parts, seconds, step_parts

H100 = MACHINES["h100"]


def paper_run(**changes: Any) -> Any:
    """A screening of arXiv 2605.02073."""
    grpo = {"steps": 500, "prompts_per_step": 1, "generations": 4, "max_completion_tokens": 256}
    lora = {"rank": 32, "alpha": 32}
    hardware = {"device": "cuda", "dtype": "bfloat16"}
    return training_run(Path("/nowhere"), grpo=grpo, lora=lora, hardware=hardware, **changes)


def hours_of_fifty(members: int) -> float:
    """Of the paper's 50 screenings on an H100, each with 500 questions in batches of 64, in packs of so many."""
    step = seconds(step_parts(paper_run(), LLAMA_3B, members, 160), H100)
    evaluation = 8 * seconds(evaluation_parts(paper_run(), LLAMA_3B, members, 160, 64), H100)
    return 50 / members * (500 * step + evaluation) / 3600


def test_the_paper_s_search_on_one_gpu() -> None:
    assert hours_of_fifty(1) == pytest.approx(3.8, rel=0.05)
    # Reckoned by hand without the adapters, which are read in float32 and weigh as much as a third of the base.
    assert hours_of_fifty(10) == pytest.approx(0.71, rel=0.15)


def test_decoding_is_bound_by_reading_the_weights_until_there_are_many_rows() -> None:
    def decoding(members: int) -> Part:
        return next(part for part in step_parts(paper_run(), LLAMA_3B, members, 160) if part.name == "decoding")

    one, hundred = decoding(1), decoding(1000)
    weights = weight_bytes(LLAMA_3B, paper_run().hardware)
    assert one.seconds(H100) == pytest.approx(256 * weights / H100.bandwidth, rel=0.06)
    assert one.operations / H100.rate < 0.05 * one.seconds(H100)
    assert hundred.operations / H100.rate > hundred.bytes / H100.bandwidth / 10


@pytest.mark.parametrize("tied", [True, False])
def test_counted_operations_are_those_that_torch_counts(tmp_path: Path, tied: bool) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from torch.utils.flop_counter import FlopCounterMode

    from eval.engines.policy import load_policy
    from trainer.grpo.shared_prompts import logps_and_entropies

    size = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 8}
    base = write_policy(tmp_path / "policy", **size, tie_word_embeddings=tied)
    model = load_policy(str(base), "cpu").model
    shape = ModelShape.of(model.config)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=targets))
    lora = sum(parameter.numel() for name, parameter in adapted.named_parameters() if "lora_" in name)
    assert adapter_parameters(shape, 4, targets) == lora
    rows, prompt, completion = 8, 20, 12
    grpo = {"prompts_per_step": 2, "generations": 4, "max_completion_tokens": completion}
    run = training_run(base, grpo=grpo, lora={"rank": 4, "alpha": 4, "target_modules": targets})
    parts = {part.name: part for part in step_parts(run, shape, 1, prompt)}
    tokens = torch.randint(5, 20, (rows, prompt + completion))
    tokens[:, :prompt] = tokens[::4, :prompt].repeat_interleave(4, dim=0)
    with FlopCounterMode(display=False) as counter:
        logps, _ = logps_and_entropies(
            adapted,
            tokens,
            torch.ones_like(tokens),
            completion,
            temperature=1.0,
            compute_entropy=False,
            chunks=[torch.arange(rows)],
        )
        logps.sum().backward()
    # Attention is counted as every token to every other by torch, and to those before it here; it is small.
    assert parts["loss and gradients"].operations == pytest.approx(counter.get_total_flops(), rel=0.1)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        cache = None
        for token in range(completion):
            width = prompt if token == 0 else 1
            output = adapted(tokens[:, :width], past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = output.past_key_values
    with FlopCounterMode(display=False) as first, torch.no_grad():
        adapted(tokens[:, :prompt], logits_to_keep=1)
    decoded = counter.get_total_flops() - first.get_total_flops()
    assert parts["decoding"].operations * (completion - 1) / completion == pytest.approx(decoded, rel=0.1)
    # Of the prompts of two groups of four, each is read once.
    assert parts["reading prompts"].operations == pytest.approx(first.get_total_flops() / 4, rel=0.1)


def test_a_part_takes_its_bytes_or_its_operations_and_the_starting_of_them() -> None:
    machine = Machine("any", bandwidth=100, rate=1000, launch=0.5)
    assert Part("moving", bytes=300, operations=1000).seconds(machine) == 3
    assert Part("computing", bytes=100, operations=5000, launches=2).seconds(machine) == 6
