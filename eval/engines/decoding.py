"""Batched decoding with a causal language model, whose draws do not depend on how rows are batched."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from eval.engines.stacked_adapters import StackedAdapters


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
    fixed: bool | None = None,
    over: Callable[[list[list[int]]], list[bool]] | None = None,
) -> list[list[int]]:
    """Token ids of one completion per prompt, in order, each with its stop token if one came.

    `model` is a transformers causal language model, in evaluation mode. With `temperature` 0 decoding is greedy;
    else row i takes its token t from `draws[i, t]` (see `uniform_draws`), at least of shape
    (len(prompts), max_completion_tokens). Equal prompts are read once, and rows that have ended leave the batch.
    With `adapters` on the model, prompt i is completed by the adapter `adapter_of_prompt[i]` of them (-1: the base).
    `over`: says of completions, each with its latest token, which end there without a stop token.
    `fixed`: steps of one shape from token to token, which a GPU repeats as a captured graph; None: on a GPU, where the
    model allows it. Raises ValueError if draws are needed and missing, or a prompt is empty.
    """
    import torch

    from eval.engines.decoding_batch import DecodingBatch, FixedBatch, can_be_fixed

    if temperature > 0 and draws is None:
        raise ValueError("decode with temperature > 0 needs `draws`")
    if any(len(prompt) == 0 for prompt in prompts):
        raise ValueError("decode needs at least one token in every prompt")
    if not prompts:
        return []
    device = next(model.parameters()).device
    if fixed is None:
        fixed = device.type == "cuda" and can_be_fixed(model)
    batch_type = FixedBatch if fixed else DecodingBatch
    stop = torch.tensor(sorted(stop_tokens), device=device)
    draws = draws.to(device) if draws is not None else None
    rows = DecodingRows(adapter_of_prompt if adapter_of_prompt is not None else [0] * len(prompts))
    completions: list[list[int]] = [[] for _ in prompts]
    with torch.inference_mode(), adapters.merged() if adapters is not None else nullcontext():
        batch = batch_type(model, prompts, rows, pad_token, adapters, max_completion_tokens)
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
            if over is not None:
                said = over([completions[prompt] if prompt is not None else [] for prompt in rows.prompts])
                ended = [first or second for first, second in zip(ended, said, strict=True)]
            if any(ended):
                rows.end(ended)
                if not rows.going:
                    break
                kept = rows.compact(batch.idle_share)
                if kept is not None:
                    tokens, drawn = tokens[kept], None
                    batch.keep(kept, rows)
            batch.advance(tokens)
    return completions


class DecodingRows:
    """The rows of a batch that is being decoded: as many for every adapter, side by side, idle ones among them.

    A row is idle when its prompt is completed, or when its adapter had fewer prompts than another.
    """

    def __init__(self, adapter_of_prompt: Sequence[int]) -> None:
        prompts_of: dict[int, list[int | None]] = {}
        for prompt, adapter in enumerate(adapter_of_prompt):
            prompts_of.setdefault(adapter, []).append(prompt)
        most = max(map(len, prompts_of.values()))
        self.adapters = sorted(prompts_of)
        """The adapters that still decode, ascending."""
        self.prompts: list[int | None] = [
            prompt
            for adapter in self.adapters
            for prompt in [*prompts_of[adapter], *[None] * (most - len(prompts_of[adapter]))]
        ]
        """The prompt of each row; None: an idle row."""

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def share(self) -> int:
        """Rows of each adapter."""
        return len(self.prompts) // len(self.adapters)

    @property
    def adapter_of_row(self) -> list[int]:
        return [adapter for adapter in self.adapters for _ in range(self.share)]

    @property
    def going(self) -> bool:
        """Some row is still decoding."""
        return any(prompt is not None for prompt in self.prompts)

    def filled(self, prompts: Sequence[Sequence[int]]) -> list[tuple[int, tuple[int, ...]]]:
        """Adapter and prompt of each row; an idle row has a prompt of its adapter's, so that it does no harm."""
        some = {a: p for p, a in zip(self.prompts, self.adapter_of_row, strict=True) if p is not None}
        return [
            (adapter, tuple(prompts[some[adapter] if prompt is None else prompt]))
            for prompt, adapter in zip(self.prompts, self.adapter_of_row, strict=True)
        ]

    def end(self, ended: Sequence[bool]) -> None:
        """Marks rows as idle."""
        self.prompts = [None if over else prompt for prompt, over in zip(self.prompts, ended, strict=True)]

    def compact(self, idle_share: float) -> list[int] | None:
        """Drops idle rows if at least that share of the batch goes. Returns the rows kept, in their order, or None."""
        share = self.share
        going = {
            adapter: [row for row in range(place * share, (place + 1) * share) if self.prompts[row] is not None]
            for place, adapter in enumerate(self.adapters)
        }
        going = {adapter: rows for adapter, rows in going.items() if rows}
        most = max(map(len, going.values()))
        if most * len(going) > (1 - idle_share) * len(self.prompts):
            return None
        kept: list[int] = []
        prompts: list[int | None] = []
        for rows in going.values():
            idle = most - len(rows)
            # An idle row repeats one of its adapter's, so that what it computes is as harmless as that.
            kept += [*rows, *[rows[0]] * idle]
            prompts += [*(self.prompts[row] for row in rows), *[None] * idle]
        self.adapters, self.prompts = list(going), prompts
        return kept


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
