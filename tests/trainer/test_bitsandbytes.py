"""Base weights in 8 and 4 bits and 8-bit AdamW, where bitsandbytes is installed (`make test-bitsandbytes`)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.tiny import ran, training_run, write_policy
from trainer.jobs.folder import ADAPTER
from trainer.jobs.settings import Hardware
from trainer.jobs.train import TrainJob, member_folder
from trainer.policy import load_base_policy, merge_adapter

pytestmark = [
    pytest.mark.bitsandbytes,
    pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed"),
]

BITS = ["8bit", "4bit"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A row of a 4-bit matrix holds whole blocks of 64 weights.
    return write_policy(tmp_path_factory.mktemp("policy"), hidden_size=64, intermediate_size=128)


def random_adapter(base: Path, folder: Path, seed: int) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=["q_proj", "o_proj", "down_proj"])
    adapted = get_peft_model(load_base_policy(str(base), Hardware(device="cpu")).model, config)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    adapted.save_pretrained(str(folder))
    return folder


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("bits", BITS)
def test_stacked_adapters_say_what_peft_says_on_quantised_weights(
    bits: Any, dtype: Any, base: Path, tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel

    from eval.engines.stacked_adapters import stacked

    hardware = Hardware(device="cpu", dtype=dtype, quantization=bits)
    model = load_base_policy(str(base), hardware).model
    assert model.model.layers[0].mlp.up_proj.weight.dtype == {"8bit": torch.int8, "4bit": torch.uint8}[bits]
    folders = [str(random_adapter(base, tmp_path / str(seed), seed)) for seed in (1, 2)]
    tokens = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])
    with torch.no_grad():
        plain = model(tokens).logits
        with stacked(model, folders) as stack:
            stack.assign([0, 1])
            together = model(tokens).logits
        assert torch.equal(model(tokens).logits, plain)
        alone = [
            PeftModel.from_pretrained(load_base_policy(str(base), hardware).model, folder)(tokens[row : row + 1]).logits
            for row, folder in enumerate(folders)
        ]
    gap, moved = (together - torch.cat(alone)).abs(), (together - plain).abs()
    if (bits, dtype) == ("4bit", "float32"):
        assert gap.max() < 1e-4
    # Inputs in 8 bits and numbers in bfloat16 round at every layer; beside that the adapters move much.
    assert gap.mean() < 0.06 * moved.mean()
    assert moved.mean() > 0.1


@pytest.mark.parametrize("bits", BITS)
def test_a_pack_trains_on_quantised_weights_and_leaves_adapters_for_whole_ones(
    bits: Any, base: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    hardware = {"device": "cpu", "quantization": bits}
    runs = [training_run(base, label=str(seed), seed=seed, hardware=hardware) for seed in (1, 2)]
    result = ran(TrainJob.of(*runs, label="pack"), tmp_path / "job")
    assert [member.failure for member in result.members] == [None, None]
    for run, member in zip(runs, result.members, strict=True):
        assert member.adapter == ADAPTER
        adapter = member_folder(tmp_path / "job", run) / ADAPTER
        weights = load_file(adapter / "adapter_model.safetensors")
        assert any(value.any() for name, value in weights.items() if "lora_B" in name)
        merged = merge_adapter(str(base), adapter, tmp_path / f"merged-{run.seed}")
        assert load_base_policy(str(merged), Hardware(device="cpu")).texts([[5, 6]])


def test_8_bit_adamw_trains(base: Path, tmp_path: Path) -> None:
    grpo = {"optimizer": "adamw_8bit", "steps": 2}
    hardware = {"device": "cpu", "dtype": "bfloat16"}
    result = ran(TrainJob.of(training_run(base, grpo=grpo, hardware=hardware)), tmp_path / "job")
    assert [member.failure for member in result.members] == [None]
