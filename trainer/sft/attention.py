"""Attention in float32 under bfloat16 autocast: on CPUs the backward pass in bfloat16 is many times slower."""

from __future__ import annotations

from typing import Any

_NAME = "float32_sdpa"


def use_float32_attention(model: Any) -> None:
    """Makes a transformers model compute its attention in float32, whatever autocast says. Linear layers stay."""
    import torch
    from transformers import AttentionInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    def attention(module: Any, query: Any, key: Any, value: Any, mask: Any, **options: Any) -> Any:
        with torch.autocast(query.device.type, enabled=False):
            output, weights = sdpa_attention_forward(module, query.float(), key.float(), value.float(), mask, **options)
        return output, weights

    AttentionInterface.register(_NAME, attention)
    AttentionMaskInterface.register(_NAME, sdpa_mask)
    model.set_attn_implementation(_NAME)
