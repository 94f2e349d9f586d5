"""The estimate of memory against counts made from real tensors, and how the size of a pack follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from eval.engines.policy import load_policy
from tests.trainer.tiny import training_run, write_policy
from trainer.grpo.memory import (
    OPTIMIZER_BYTES,
    ModelShape,
    activation_bytes,
    adapter_bytes,
    cache_bytes,
    candidate_bytes,
    free_memory,
    members_that_fit,
    weight_bytes,
)
from trainer.policy import lora_config


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_policy(str(write_policy(tmp_path_factory.mktemp("policy"))), "cpu").model


def test_shape_and_adapter_are_those_of_the_model(model: Any) -> None:
    from eval.engines.stacked_adapters import StackedAdapters

    shape = ModelShape.of(model.config)
    norms = sum(parameter.numel() for name, parameter in model.named_parameters() if "norm" in name)
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters()) - norms
    job = training_run(Path("/nowhere"))
    stack = StackedAdapters(model, lora_config(job.lora), 1)
    trained = sum(parameter.numel() for parameter in stack.parameters())
    stack.remove()
    assert adapter_bytes(shape, job.lora.rank, job.lora.target_modules) == OPTIMIZER_BYTES * trained


def test_the_cache_of_a_row_is_what_decoding_fills(model: Any) -> None:
    output = model(input_ids=torch.randint(5, 30, (1, 11)), use_cache=True)
    filled = sum(
        tensor.numel() * tensor.element_size()
        for layer in output.past_key_values.layers
        for tensor in (layer.keys, layer.values)
    )
    assert cache_bytes(ModelShape.of(model.config), 11, 4) == filled


def test_activations_are_about_what_autograd_keeps(model: Any) -> None:
    """Within a factor of two: the estimate leaves out what comes and goes, and kernels differ."""
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in {parameter.data_ptr() for parameter in model.parameters()}:
            kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    ids = torch.randint(5, 30, (8, 64))
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.model(input_ids=ids, use_cache=False)
    estimate = 8 * activation_bytes(ModelShape.of(model.config), 64, 4, checkpointed=False)
    assert 0.5 < sum(kept.values()) / estimate < 2


LLAMA_3B = ModelShape(28, 3072, 8192, 24, 8, 128, 128_256, 3_212_000_000, 394_000_000, True)


def paper_job(**grpo: Any) -> Any:
    settings = {"prompts_per_step": 1, "generations": 4, "max_completion_tokens": 1024, **grpo}
    lora = {"rank": 32, "alpha": 32}
    return training_run(Path("/nowhere"), grpo=settings, lora=lora, hardware={"device": "cuda", "dtype": "bfloat16"})


def test_ten_candidates_of_the_paper_fit_on_one_large_gpu_and_not_on_a_small_one() -> None:
    assert members_that_fit(paper_job(), LLAMA_3B, 512, 80 * 2**30) >= 10
    assert members_that_fit(paper_job(), LLAMA_3B, 512, 10 * 2**30) < 10
    assert members_that_fit(paper_job(), LLAMA_3B, 512, 2**30) == 1


def test_more_rows_mean_fewer_members_unless_they_go_through_in_parts() -> None:
    few, many = paper_job(), paper_job(prompts_per_step=16)
    in_parts = paper_job(prompts_per_step=16, completions_per_forward=4)
    sizes = [candidate_bytes(job, LLAMA_3B, 512) for job in (few, in_parts, many)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]
    fits = [members_that_fit(job, LLAMA_3B, 512, 80 * 2**30) for job in (few, many)]
    assert fits[0] > fits[1]


def test_this_machine_has_some_memory() -> None:
    assert 2**27 < free_memory() < 2**50


def test_quantised_weights_leave_room_for_more_members() -> None:
    plain, in_8, in_4 = (paper_job(), *(paper_job_quantised(bits) for bits in ("8bit", "4bit")))
    sizes = [weight_bytes(LLAMA_3B, job.hardware) / 2**30 for job in (plain, in_8, in_4)]
    # 3.2 billion weights in two bytes; of them 0.39 billion are embeddings, and stay.
    assert sizes == pytest.approx([5.98, 3.36, 2.21], abs=0.01)
    fits = [members_that_fit(job, LLAMA_3B, 512, 12 * 2**30) for job in (plain, in_8, in_4)]
    assert fits[0] < fits[1] < fits[2]


def paper_job_quantised(bits: str) -> Any:
    job = paper_job()
    return job.model_copy(update={"hardware": job.hardware.model_copy(update={"quantization": bits})})
