"""Log-probabilities of completions with every prompt read once, however many completions it has. Imports torch.

The completions of a group share their prompt, and so its keys and values: these are computed once, by a pass over the
distinct prompts, and each completion attends to them. Figures and gradients are those of a pass over whole rows, to
rounding; the work of a prompt is done once instead of once per completion, in the forward pass and the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from trainer.grpo.frozen_head import has_frozen_head, logps_and_entropies_of


@dataclass(frozen=True, slots=True)
class _Prompts:
    """What was read of the distinct prompts. `of_row`: the prompt of each row."""

    cache: Any
    logits: torch.Tensor
    mask: torch.Tensor
    of_row: torch.Tensor


def can_share_prompts(model: Any, width: int) -> bool:
    """Whether every layer of the model attends to all earlier positions of rows of `width` tokens, and the prompt's
    part can be kept."""
    return all(
        type(layer) is DynamicLayer or (type(layer) is DynamicSlidingWindowLayer and width < layer.sliding_window)
        for layer in DynamicCache(config=model.config.get_text_config()).layers
    )


def logps_and_entropies(
    model: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    logits_to_keep: int,
    *,
    temperature: float,
    compute_entropy: bool,
    chunks: Iterable[torch.Tensor],
    adapter_of_row: torch.Tensor | None = None,
    assign: Callable[[list[int]], None] | None = None,
    tiled: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Log-probabilities and entropies of the completions' tokens, each (rows, logits_to_keep), 0 on padding.

    `input_ids`, `attention_mask`: (rows, prompt + logits_to_keep), prompts padded on the left. `chunks`: the rows that
    go through the model together. Where rows have different adapters, `assign` is told that of each before a pass.
    `tiled`: the logits of a chunk never lie in memory. A head that is not trained is gone over once, any other twice by
    TRL's, which the model must have and whose temperature must be this one.
    """
    of_chunk = _in_tiles if tiled else _at_once
    width = input_ids.size(1) - logits_to_keep
    completions, present = input_ids[:, width:], attention_mask[:, width:] != 0
    prompts = _read(model, input_ids[:, :width], attention_mask[:, :width], adapter_of_row, assign)
    logps, entropies, taken = [], [], []
    for chunk in chunks:
        kept = max(1, int(present[chunk].sum(1).max()))
        if adapter_of_row is not None and assign is not None:
            assign(adapter_of_row[chunk].tolist())
        own, missing = present[chunk, :kept], (0, logits_to_keep - kept)
        found, spread = of_chunk(model, prompts, chunk, completions[chunk, :kept], own, temperature)
        logps.append(torch.nn.functional.pad(found, missing))
        if compute_entropy:
            entropies.append(torch.nn.functional.pad(spread, missing))
        taken.append(chunk)
    back = torch.cat(taken).argsort()
    return torch.cat(logps)[back], torch.cat(entropies)[back] if entropies else None


def _read(
    model: Any,
    ids: torch.Tensor,
    mask: torch.Tensor,
    adapter_of_row: torch.Tensor | None,
    assign: Callable[[list[int]], None] | None,
) -> _Prompts:
    """Reads the distinct pairs of prompt and adapter, those of one adapter side by side."""
    owners = adapter_of_row if adapter_of_row is not None else ids.new_zeros(len(ids))
    distinct, of_row = torch.unique(torch.cat([owners[:, None], mask, ids], dim=1), dim=0, return_inverse=True)
    owners, mask, ids = distinct[:, 0], distinct[:, 1 : 1 + mask.size(1)], distinct[:, 1 + mask.size(1) :]
    if adapter_of_row is not None and assign is not None:
        assign(owners.tolist())
    cache = DynamicCache(config=model.config.get_text_config())
    logits = model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
    return _Prompts(cache, logits, mask, of_row)


def _at_once(
    model: Any, prompts: _Prompts, chunk: torch.Tensor, ids: torch.Tensor, own: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities and entropies of a chunk's tokens `ids`, (rows, tokens); `own`: those that are no padding."""
    logits = prompts.logits[prompts.of_row[chunk]]
    if ids.size(1) > 1:
        logits = torch.cat([logits, model(**_behind(model, prompts, chunk, ids, own), use_cache=True).logits], dim=1)
    every = torch.log_softmax(logits[own] / temperature, dim=-1)
    chosen = every.gather(1, ids[own][:, None])[:, 0]
    with torch.no_grad():
        spread = every.new_zeros(own.shape).masked_scatter(own, -(every.exp() * every).sum(-1))
    return every.new_zeros(own.shape).masked_scatter(own, chosen), spread


def _in_tiles(
    model: Any, prompts: _Prompts, chunk: torch.Tensor, ids: torch.Tensor, own: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `_at_once`. First tokens follow from the logits behind the prompts, which are few."""
    logps, entropies = _at_once(model, prompts, chunk, ids[:, :1], own[:, :1], temperature)
    if ids.size(1) == 1:
        return logps, entropies
    behind, own = _behind(model, prompts, chunk, ids, own), own[:, 1:]
    if has_frozen_head(model):
        states = model.base_model(**behind).last_hidden_state[own]
        weight = model.get_output_embeddings().weight
        found = logps_and_entropies_of(states, weight, ids[:, 1:][own], temperature)
        later, spread = (figure.new_zeros(own.shape).masked_scatter(own, figure) for figure in found)
    else:
        output = model(**behind, shift_labels=ids[:, 1:].masked_fill(~own, -100), fused_lm_head=True)
        later, spread = output.log_probs, output.entropy.detach()
    return torch.cat([logps, later], dim=1), torch.cat([entropies, spread], dim=1)


def _behind(model: Any, prompts: _Prompts, chunk: torch.Tensor, ids: torch.Tensor, own: torch.Tensor) -> dict[str, Any]:
    """What the model is asked to read the tokens of a chunk, all but the last, behind their prompts."""
    of_row = prompts.of_row[chunk]
    cache = DynamicCache(config=model.config.get_text_config())
    for layer, read in zip(cache.layers, prompts.cache.layers, strict=True):
        layer.update(read.keys[of_row], read.values[of_row])
    mask = torch.cat([prompts.mask[of_row], own[:, :-1].to(prompts.mask.dtype)], dim=1)
    return {"input_ids": ids[:, :-1], "attention_mask": mask, "past_key_values": cache}
