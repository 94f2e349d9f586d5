"""The model's state while a batch is decoded, its keys and values in buffers that grow in place.

Importing this module imports torch and transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

from eval.engines.decoding import DecodingRows
from eval.engines.stacked_adapters import StackedAdapters

ADDITIVE_MASKS = ("sdpa", "eager")
"""Implementations of attention in transformers that take the mask as what is added to the scores."""
MASK_AHEAD = 64
"""Masks are made for so many tokens to come."""
FEWEST_CAPTURED = 16
"""Capturing a step pays from so many tokens on."""
CACHE_AHEAD = 64
"""Positions that are allocated beyond what is needed, whenever room has run out."""


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one layer, each (rows, heads, positions, head size): a view of a buffer with room to grow.

    A new position is written into the buffer; the base class would copy everything to append it. Once `fixed`, keys
    and values are the whole buffer, and a position is written wherever a tensor says.
    """

    is_initialized: bool
    keys: torch.Tensor
    values: torch.Tensor
    _place: torch.Tensor | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *arguments: Any, **options: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self._place is not None:
            self.keys.index_copy_(2, self._place, key_states)
            self.values.index_copy_(2, self._place, value_states)
            return self.keys, self.values
        if not self.is_initialized:
            self.dtype, self.device = key_states.dtype, key_states.device
            self.is_initialized = True
            self._length = 0
            self._buffers = self._allocated(key_states, value_states, key_states.shape[-2])
        start, end = self._length, self._length + key_states.shape[-2]
        if end > self._buffers[0].shape[-2]:
            grown = self._allocated(key_states, value_states, end)
            for buffer, larger in zip(self._buffers, grown, strict=True):
                larger[:, :, :start] = buffer[:, :, :start]
            self._buffers = grown
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, start:end] = states
        self._expose(end)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keeps the rows of `indices`, in that order; a row may be named more than once."""
        length = self._length
        selected = []
        for buffer in self._buffers:
            kept = buffer.new_empty((len(indices), *buffer.shape[1:]))
            kept[:, :, :length] = buffer[:, :, :length][indices]
            selected.append(kept)
        self._buffers = selected
        self._expose(length)

    def fix(self, length: int, place: torch.Tensor) -> None:
        """From now on there are `length` positions, those not yet written zero, and `place`, (1,), is the next."""
        fixed = []
        for buffer in self._buffers:
            whole = buffer.new_zeros((*buffer.shape[:2], length, buffer.shape[3]))
            whole[:, :, : self._length] = buffer[:, :, : self._length]
            fixed.append(whole)
        self._buffers, self._place = fixed, place
        self.keys, self.values = fixed

    def release(self, length: int) -> None:
        """The reverse: the first `length` positions are those that were written."""
        self._place = None
        self._expose(length)

    def _expose(self, length: int) -> None:
        self._length = length
        self.keys, self.values = (buffer[:, :, :length] for buffer in self._buffers)

    @staticmethod
    def _allocated(keys: torch.Tensor, values: torch.Tensor, length: int) -> list[torch.Tensor]:
        return [
            states.new_empty((*states.shape[:2], length + CACHE_AHEAD, states.shape[3])) for states in (keys, values)
        ]


def decoding_cache(model: Any) -> tuple[Any, bool]:
    """A cache for a transformers language model, and whether every layer of it attends to all earlier positions.

    Layers of other kinds (sliding windows, states of recurrent layers) keep the cache that transformers gives them.
    """
    cache = DynamicCache(config=model.config)
    full = [type(layer) is DynamicLayer for layer in cache.layers]
    cache.layers = [RoomyLayer() if is_full else layer for layer, is_full in zip(cache.layers, full, strict=True)]
    return cache, bool(full) and all(full)


class DecodingBatch:
    """The cache, and `logits` of the next token, (rows, vocabulary)."""

    idle_share = 0.2
    """Rows move together once so large a share of the batch is idle: moving them more often costs more than idling."""

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        rows: DecodingRows,
        pad_token: int,
        adapters: StackedAdapters | None,
        max_tokens: int,
    ) -> None:
        """Reads the prompts, each once for every adapter that completes it. At most `max_tokens` will follow each."""
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
        tokens = torch.tensor([[pad_token] * (width - len(p)) + list(p) for _, p in distinct], device=device)
        self._positions = (mask.cumsum(1) - 1).clamp(min=0)
        logits = self._read(tokens, mask)
        place = {item: index for index, item in enumerate(distinct)}
        expansion = [place[item] for item in wanted]
        self.logits = logits[expansion]
        self._length, self._longest = width, width + max_tokens
        self._positions = mask.sum(1, keepdim=True)
        self._prompt_mask = mask
        self.keep(expansion, rows)

    def keep(self, kept: Sequence[int], rows: DecodingRows) -> None:
        """Goes on with these of its rows, in this order; they are now `rows`."""
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
        self.logits = self._read(tokens[:, None], self._mask[..., : self._length])
        self._positions = self._positions + 1

    def _read(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The model's logits, (rows, vocabulary), after these tokens of each row, (rows, tokens)."""
        output = self._model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _mask_for(self, length: int) -> torch.Tensor:
        """The mask for `length` positions and some more, since every position after the prompt holds a token.

        Where the model takes it, that is the mask which its attention adds, (rows, 1, 1, positions): transformers
        would otherwise make one at every token.
        """
        more = length + MASK_AHEAD - self._prompt_mask.shape[1]
        mask = torch.nn.functional.pad(self._prompt_mask, (0, more), value=1)
        return self._added(mask) if self._additive else mask

    def _added(self, mask: torch.Tensor) -> torch.Tensor:
        additive = torch.zeros(mask.shape, dtype=self._model.dtype, device=mask.device)
        return additive.masked_fill_(mask == 0, float("-inf"))[:, None, None]


class FixedBatch(DecodingBatch):
    """A batch whose steps all have the same shapes, and read and write the same memory, so that a GPU can repeat one.

    Attention goes over all positions that there will ever be, those to come masked. That costs more arithmetic and
    far less time wherever starting the kernels of a step takes longer than the step.
    """

    idle_share = 0.5  # A step is captured anew whenever rows have moved.

    def keep(self, kept: Sequence[int], rows: DecodingRows) -> None:
        layers: list[RoomyLayer] = self._cache.layers
        for layer in layers:
            layer.release(self._length)
        super().keep(kept, rows)
        device = self._prompt_mask.device
        self._place = torch.tensor([self._length], device=device)
        for layer in layers:
            layer.fix(self._longest, self._place)
        self._tokens = torch.zeros_like(self._positions)
        self._positions = self._positions.clone()
        # Those of the first token are still to be read; later ones are overwritten by the next step.
        self.logits = self.logits[: len(kept)].clone()
        self._repeat = self._captured() if device.type == "cuda" else self._step

    def advance(self, tokens: torch.Tensor) -> None:
        self._length += 1
        self._tokens.copy_(tokens[:, None])
        self._repeat()

    def _mask_for(self, length: int) -> torch.Tensor:
        """The mask for all positions that there will be; those after `length` are hidden until they are written."""
        known = torch.nn.functional.pad(self._prompt_mask, (0, length - self._prompt_mask.shape[1]), value=1)
        return self._added(torch.nn.functional.pad(known, (0, self._longest - length)))

    def _step(self) -> None:
        self._mask.index_fill_(3, self._place, 0.0)
        self.logits.copy_(self._read(self._tokens, self._mask))
        self._positions.add_(1)
        self._place.add_(1)

    def _captured(self) -> Callable[[], None]:
        """The step as a CUDA graph; as it is, where so few tokens may follow that capturing would take longer."""
        if self._longest - self._length < FEWEST_CAPTURED:
            return self._step
        state = (self._positions, self._place, self.logits)
        before = [tensor.clone() for tensor in state]
        cached = torch.is_autocast_cache_enabled()
        torch.set_autocast_cache_enabled(False)  # A cached cast would live in the memory of the graph.
        try:
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(2):
                    # What these steps write into cache and mask, the real one writes again at the same place.
                    self._step()
                    for tensor, value in zip(state, before, strict=True):
                        tensor.copy_(value)
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._step()
        finally:
            torch.set_autocast_cache_enabled(cached)
        repeat: Callable[[], None] = graph.replay
        return repeat


def can_be_fixed(model: Any) -> bool:
    """Whether the model attends to all earlier positions in every layer and takes an additive mask."""
    return decoding_cache(model)[1] and model.config._attn_implementation in ADDITIVE_MASKS
