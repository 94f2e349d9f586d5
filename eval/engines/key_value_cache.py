"""A cache of keys and values that grows in place, for decoding. Importing this module imports transformers."""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

ROOM = 64
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
        return [states.new_empty((*states.shape[:2], length + ROOM, states.shape[3])) for states in (keys, values)]


def decoding_cache(model: Any) -> tuple[Any, bool]:
    """A cache for a transformers language model, and whether every layer of it attends to all earlier positions.

    Layers of other kinds (sliding windows, states of recurrent layers) keep the cache that transformers gives them.
    """
    cache = DynamicCache(config=model.config)
    full = [type(layer) is DynamicLayer for layer in cache.layers]
    cache.layers = [RoomyLayer() if is_full else layer for layer, is_full in zip(cache.layers, full, strict=True)]
    return cache, bool(full) and all(full)
