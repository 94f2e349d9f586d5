"""Batched decoding with a causal language model, whose draws do not depend on how rows are batched."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from eval.decoding_rows import DecodingRows

if TYPE_CHECKING:
    import torch

    from eval.stacked_adapters import StackedAdapters

ADDITIVE_MASKS = ("sdpa", "eager")
"""Implementations of attention in transformers that take the mask as what is added to the scores."""
MASK_AHEAD = 64
"""Masks are made for so many tokens to come."""


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
    adapters: StackedAdapters | None = None,
    adapter_of_prompt: Sequence[int] | None = None,
) -> list[list[int]]:
    """Token ids of one completion per prompt, in order, each with its stop token if one came.

    `model` is a transformers causal language model, in evaluation mode. With `temperature` 0 decoding is greedy;
    else row i takes its token t from `draws[i, t]` (see `uniform_draws`), at least of shape
    (len(prompts), max_completion_tokens). Equal prompts are read once, and rows that have ended leave the batch.
    With `adapters` on the model, prompt i is completed by the adapter `adapter_of_prompt[i]` of them (-1: the base).
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
    stop = torch.tensor(sorted(stop_tokens), device=device)
    draws = draws.to(device) if draws is not None else None
    rows = DecodingRows(adapter_of_prompt if adapter_of_prompt is not None else [0] * len(prompts))
    completions: list[list[int]] = [[] for _ in prompts]
    with torch.inference_mode(), adapters.merged() if adapters is not None else nullcontext():
        batch = _Batch(model, prompts, rows, pad_token, adapters)
        drawn = None
        for step in range(max_completion_tokens):
            if temperature > 0:
                assert draws is not None
                drawn = draws[[prompt or 0 for prompt in rows.prompts]] if drawn is None else drawn
                tokens = _sample(batch.logits, drawn[:, step], temperature, top_p)
            else:
                tokens = batch.logits.argmax(-1)
            for prompt, token in zip(rows.prompts, tokens.tolist(), strict=True):
                if prompt is not None:
                    completions[prompt].append(token)
            if step + 1 == max_completion_tokens:
                break
            ended = torch.isin(tokens, stop).tolist()
            if any(ended):
                rows.end(ended)
                if not rows.going:
                    break
                kept = rows.compact()
                if kept is not None:
                    tokens, drawn = tokens[kept], None
                    batch.keep(kept, rows)
            batch.advance(tokens)
    return completions


class _Batch:
    """The model's state while a batch is decoded: the cache, and the next token's logits, (rows, vocabulary)."""

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        rows: DecodingRows,
        pad_token: int,
        adapters: StackedAdapters | None,
    ) -> None:
        """Reads the prompts, each once for every adapter that completes it."""
        import torch

        from eval.key_value_cache import decoding_cache

        self._model = model
        self._adapters = adapters
        wanted = rows.filled(prompts)
        distinct = sorted(dict.fromkeys(wanted), key=lambda item: item[0])
        width = max(len(prompt) for _, prompt in distinct)
        device = next(model.parameters()).device
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for _, prompt in distinct], device=device)
        if adapters is not None:
            adapters.assign([adapter for adapter, _ in distinct])
        self._cache, full_attention = decoding_cache(model)
        self._additive = full_attention and model.config._attn_implementation in ADDITIVE_MASKS
        output = model(
            input_ids=torch.tensor([[pad_token] * (width - len(p)) + list(p) for _, p in distinct], device=device),
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        place = {item: index for index, item in enumerate(distinct)}
        expansion = [place[item] for item in wanted]
        self.logits = output.logits[expansion, -1]
        self._length = width
        self._positions = mask.sum(1, keepdim=True)
        self._prompt_mask = mask
        self.keep(expansion, rows)

    def keep(self, kept: Sequence[int], rows: DecodingRows) -> None:
        """Goes on with these of its rows, in this order; they are now `rows`."""
        import torch

        index = torch.tensor(kept, device=self._prompt_mask.device)
        self._cache.batch_select_indices(index)
        self._prompt_mask, self._positions = self._prompt_mask[index], self._positions[index]
        self._mask = self._mask_for(self._length)
        if self._adapters is not None:
            self._adapters.assign(rows.adapter_of_row)

    def advance(self, tokens: torch.Tensor) -> None:
        """Reads one more token per row, (rows,)."""
        self._length += 1
        if self._length > self._mask.shape[-1]:
            self._mask = self._mask_for(self._length)
        output = self._model(
            input_ids=tokens[:, None],
            attention_mask=self._mask[..., : self._length],
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._positions = self._positions + 1
        self.logits = output.logits[:, -1]

    def _mask_for(self, length: int) -> torch.Tensor:
        """The mask for `length` positions and some more, since every position after the prompt holds a token.

        Where the model takes it, that is the mask which its attention adds, (rows, 1, 1, positions): transformers
        would otherwise make one at every token.
        """
        import torch

        more = length + MASK_AHEAD - self._prompt_mask.shape[1]
        mask = torch.nn.functional.pad(self._prompt_mask, (0, more), value=1)
        if not self._additive:
            return mask
        additive = torch.zeros(mask.shape, dtype=self._model.dtype, device=mask.device)
        return additive.masked_fill_(mask == 0, float("-inf"))[:, None, None]


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
