"""LoRA adapters in use: loaded for a while, merged where that is exact enough, and gone without a trace."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eval.engines.stacked_adapters import StackedAdapters

PLAIN_LORA: dict[str, Any] = {
    "use_dora": False,
    "use_rslora": False,
    "bias": "none",
    "lora_bias": False,
    "fan_in_fan_out": False,
    "modules_to_save": None,
    "rank_pattern": {},
    "alpha_pattern": {},
    "layers_to_transform": None,
    "target_parameters": None,
}
"""Fields of a LoRA configuration and the values without which there is more to it than two matrices per layer."""


@contextmanager
def adapted(model: Any, folder: str) -> Iterator[Any]:
    """`model` with the PEFT adapter of `folder` in force; afterwards it is what it was, to the bit."""
    from peft import PeftModel

    wrapped = PeftModel.from_pretrained(model, folder)
    wrapped.eval()
    try:
        with merged(wrapped) as faster:
            yield faster
    finally:
        wrapped.unload()


@contextmanager
def stacked(model: Any, folders: Sequence[str]) -> Iterator[StackedAdapters]:
    """`model` with the PEFT adapters of all folders on it, in that order; afterwards it is what it was, to the bit.

    The folders' adapters must be of one shape, see `stackable_shape`. Raises UserError otherwise, and
    FloatingPointError if one is not finite.
    """
    from peft import PeftConfig

    from eval.engines.stacked_adapters import StackedAdapters

    stack = StackedAdapters(model, PeftConfig.from_pretrained(folders[0]), len(folders))
    try:
        for place, folder in enumerate(folders):
            stack.load(place, folder)
        for folder, finite in zip(folders, stack.finite(), strict=True):
            if not finite:
                raise FloatingPointError(f"the adapter {folder!r} holds values that are not finite")
        yield stack
    finally:
        stack.remove()


def stackable_shape(folder: str | None) -> str | None:
    """Equal for adapters that can be stacked on each other; None for the base policy and what is no plain LoRA."""
    try:
        config = json.loads((Path(folder or "") / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if config.get("peft_type") != "LORA" or not isinstance(config.get("target_modules"), list):
        return None
    if any((config.get(field) or value) != value for field, value in PLAIN_LORA.items()):
        return None
    return json.dumps([config["r"], config["lora_alpha"], sorted(config["target_modules"])])


@contextmanager
def merged(model: Any) -> Iterator[Any]:
    """`model` for decoding: with its LoRA weights added to a copy of the base's, so that decoding costs no more.

    The base's own weights are put back afterwards, not computed back. A base in less than float32 stays unmerged,
    because the sum would be rounded to its precision. Raises FloatingPointError if an adapter is not finite.
    """
    import torch
    from peft.tuners.lora import LoraLayer

    layers = [layer for layer in model.modules() if isinstance(layer, LoraLayer)]
    weights = [layer.get_base_layer().weight for layer in layers]
    if any(weight.dtype != torch.float32 for weight in weights):
        yield model
        return
    untouched = [weight.data for weight in weights]
    try:
        for layer in layers:
            try:
                layer.merge(safe_merge=True)
            except ValueError as error:
                raise FloatingPointError("the adapter holds values that are not finite") from error
        yield model
    finally:
        for layer, weight, original in zip(layers, weights, untouched, strict=True):
            weight.data = original
            layer.merged_adapters.clear()
