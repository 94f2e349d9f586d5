"""One PEFT adapter of any kind in use for a while: merged where that is exact enough, and gone without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


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
