"""Batched decoding with a causal language model, whose draws do not depend on how rows are batched."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def uniform_draws(rows: int, tokens: int, seed: int) -> torch.Tensor:
    """One uniform number in [0, 1) per row and position, float64 of shape (rows, tokens), on the CPU.

    Drawn ahead and consumed by inverse transform sampling, they make a row's completion a function of its own
    logits and draws alone: batch size, the order of batches and the other rows do not matter, and two policies
    that are sampled with the same seed see the same draws (common random numbers).
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    return torch.rand((rows, tokens), generator=generator, dtype=torch.float64)


def decode(
    model: torch.nn.Module,
    prompts: Sequence[Sequence[int]],
    *,
    stop_tokens: Collection[int],
    pad_token: int,
    max_completion_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    draws: torch.Tensor | None = None,
) -> list[list[int]]:
    """Token ids of one completion per prompt, in order, each with its stop token if one came.

    `model` is a transformers causal language model, in evaluation mode. With `temperature` 0 decoding is greedy;
    else row i takes its token t from `draws[i, t]` (see `uniform_draws`), at least of shape
    (len(prompts), max_completion_tokens). Equal prompts are read once, and rows that have ended leave the batch.
    Raises ValueError if draws are needed and missing, or a prompt is empty.
    """
    import torch

    if temperature > 0 and draws is None:
        raise ValueError("decode with temperature > 0 needs `draws`")
    if any(len(prompt) == 0 for prompt in prompts):
        raise ValueError("decode needs at least one token in every prompt")
    if not prompts:
        return []
    device = next(model.parameters()).device
    distinct = list(dict.fromkeys(tuple(prompt) for prompt in prompts))
    width = max(len(prompt) for prompt in distinct)
    padded = [[pad_token] * (width - len(prompt)) + list(prompt) for prompt in distinct]
    present = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in distinct]
    position_of = {prompt: index for index, prompt in enumerate(distinct)}
    expansion = torch.tensor([position_of[tuple(prompt)] for prompt in prompts], device=device)

    completions: list[list[int]] = [[] for _ in prompts]
    rows = list(range(len(prompts)))
    stop = torch.tensor(sorted(stop_tokens), device=device)
    draws = draws.to(device) if draws is not None else None
    with torch.inference_mode():
        mask = torch.tensor(present, device=device)
        output = model(
            input_ids=torch.tensor(padded, device=device),
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            use_cache=True,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        cache.batch_select_indices(expansion)
        mask = mask[expansion]
        positions = mask.sum(1, keepdim=True)
        logits = output.logits[expansion, -1]
        for step in range(max_completion_tokens):
            if temperature > 0:
                assert draws is not None
                tokens = _sample(logits, draws[rows, step], temperature, top_p)
            else:
                tokens = logits.argmax(-1)
            for row, token in zip(rows, tokens.tolist(), strict=True):
                completions[row].append(token)
            if step + 1 == max_completion_tokens:
                break
            going = ~torch.isin(tokens, stop)
            if not going.all():
                kept = going.nonzero()[:, 0]
                if not len(kept):
                    break
                rows = [rows[index] for index in kept.tolist()]
                tokens, mask, positions = tokens[kept], mask[kept], positions[kept]
                cache.batch_select_indices(kept)
            mask = torch.cat([mask, mask.new_ones((len(rows), 1))], dim=1)
            output = model(
                input_ids=tokens[:, None],
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            positions = positions + 1
            logits = output.logits[:, -1]
    return completions


def _sample(logits: torch.Tensor, draws: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """Inverse transform sampling. logits (rows, vocabulary), draws (rows,) in [0, 1) -> token ids (rows,).

    With `top_p` < 1 only the smallest set of most probable tokens whose mass reaches it takes part (nucleus
    sampling, Holtzman et al. 2020, arXiv 1904.09751).
    """
    import torch

    probabilities = torch.softmax(logits.double() / temperature, dim=-1)
    if top_p < 1:
        probabilities, tokens = probabilities.sort(dim=-1, descending=True, stable=True)
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill(before >= top_p, 0.0)
    cumulative = probabilities.cumsum(-1)
    chosen = torch.searchsorted(cumulative, draws[:, None] * cumulative[:, -1:], right=True)
    chosen = chosen.clamp(max=logits.shape[-1] - 1)
    return (tokens.gather(-1, chosen) if top_p < 1 else chosen)[:, 0]
