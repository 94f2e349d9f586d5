"""Stacked adapters and decoding on the model classes that people train: their own code, small and random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model

from eval.engines.decoding import decode
from eval.engines.stacked_adapters import stacked

SHAPE: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 1,
    "initializer_range": 0.2,
}
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
WINDOW = {"sliding_window": 8}
"""Shorter than prompt and completion together."""
CLASSES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "llama": ("Llama", {}, LAYERS),
    "llama, tied embeddings": ("Llama", {"tie_word_embeddings": True}, LAYERS),
    "qwen2": ("Qwen2", {"use_sliding_window": True, "max_window_layers": 1, **WINDOW}, LAYERS),
    "qwen3": ("Qwen3", {"head_dim": 8}, LAYERS),
    "gemma3": ("Gemma3", {"head_dim": 8, "sliding_window_pattern": 2, **WINDOW}, LAYERS),
    "mistral": ("Mistral", WINDOW, LAYERS),
    "phi": ("Phi", {}, ["q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"]),
    "phi3": ("Phi3", WINDOW, ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]),
    "olmo2": ("Olmo2", {}, LAYERS),
}
PROMPTS = [list(range(5, 16)), [20, 21, 22], list(range(30, 37))]
TOKENS = 20


def random_model(name: str, **changes: Any) -> Any:
    """Of that class, small and in evaluation mode; `changes` of its configuration."""
    kind, own, _ = CLASSES[name]
    config = getattr(transformers, "Gemma3TextConfig" if kind == "Gemma3" else f"{kind}Config")
    torch.manual_seed(0)
    return getattr(transformers, f"{kind}ForCausalLM")(config(**{**SHAPE, **own, **changes})).eval()


FAST = ("llama, tied embeddings", "gemma3", "phi3")
"""Full attention, windows in some layers, and fused projections with windows in all."""


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in CLASSES]
)
def test_stacked_adapters_say_what_peft_s_say_and_the_base_what_generate_says(name: str, tmp_path: Path) -> None:
    layers, model = CLASSES[name][2], random_model(name)

    def copy() -> Any:
        made = type(model)(model.config)
        made.load_state_dict(model.state_dict())
        return made.eval()

    folders = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        settings = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=layers)
        adapted = get_peft_model(copy(), settings)
        for parameter, weight in adapted.named_parameters():
            if "lora_" in parameter:
                torch.nn.init.normal_(weight, std=0.2)
        folders.append(str(tmp_path / str(seed)))
        adapted.save_pretrained(folders[-1])
    limits: dict[str, Any] = {"stop_tokens": [1], "pad_token": 0, "max_completion_tokens": TOKENS}
    with stacked(model, folders) as stack:
        together = decode(model, PROMPTS * 2, adapters=stack, adapter_of_prompt=[0, 0, 0, 1, 1, 1], **limits)
    alone = [
        generated(PeftModel.from_pretrained(copy(), folder).eval(), prompt) for folder in folders for prompt in PROMPTS
    ]
    assert together == alone
    assert alone[:3] != alone[3:]
    assert decode(model, PROMPTS, **limits) == [generated(model, prompt) for prompt in PROMPTS]


def generated(model: Any, prompt: list[int]) -> list[int]:
    """transformers' own greedy decoding, one prompt at a time."""
    ids = torch.tensor([prompt])
    found = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=TOKENS, do_sample=False, pad_token_id=0
    )
    tokens: list[int] = found[0, len(prompt) :].tolist()
    return tokens
