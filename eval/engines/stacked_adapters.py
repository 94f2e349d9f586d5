"""Several LoRA adapters on one frozen model at once: every row of a batch goes through its own.

All adapters have one shape, so that a layer holds them stacked, `A` (adapters, rank, in) and `B` (adapters, out,
rank), and two batched matrix products add to each row what its adapter adds: `x W^T + (alpha / rank) (x A^T) B^T`
(Hu et al. 2022, arXiv 2106.09685, Equation 3). The base's weights are read once for all. Importing this module
imports torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rewards_generated.errors import UserError

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

NO_ADAPTER = -1
"""As the adapter of a row: the base policy."""

CLIP_EPSILON = 1e-6
"""What torch adds to a gradient norm that it divides by."""

MERGED_BYTES = 2**24
"""Merged copies of the adapted weights may take so much memory: beyond a processor's cache, reading a copy for every
adapter takes longer than the two small products that it saves."""

SHARED_INPUTS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Layers of one block that read the same input: their `A` are one matrix, so that the input is read once."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Where the rows of each adapter stand in a batch.

    `adapters`: the adapters that occur, ascending. `even`: the batch is as many rows of the first, then as many of
    the second, and so on; otherwise `slots`, of shape (adapters, most rows of one), has the row for each place (0
    where there is none), `rows` the rows with an adapter, and `places` where those stand in the flattened slots.
    """

    adapters: tuple[int, ...]
    even: bool
    slots: torch.Tensor | None = None
    rows: torch.Tensor | None = None
    places: torch.Tensor | None = None


def _arranged(adapter_of_row: Sequence[int], device: torch.device) -> _Rows:
    adapters = tuple(sorted(set(adapter_of_row) - {NO_ADAPTER}))
    share = len(adapter_of_row) // max(len(adapters), 1)
    if list(adapter_of_row) == [adapter for adapter in adapters for _ in range(share)]:
        return _Rows(adapters, even=True)
    rows_of: dict[int, list[int]] = {adapter: [] for adapter in adapters}
    for row, adapter in enumerate(adapter_of_row):
        if adapter != NO_ADAPTER:
            rows_of[adapter].append(row)
    most = max(map(len, rows_of.values()))
    slots = [[*rows, *[0] * (most - len(rows))] for rows in rows_of.values()]
    places = [position * most + index for position, rows in enumerate(rows_of.values()) for index in range(len(rows))]
    return _Rows(
        adapters,
        even=False,
        slots=torch.tensor(slots, device=device),
        rows=torch.tensor([row for rows in rows_of.values() for row in rows], device=device),
        places=torch.tensor(places, device=device),
    )


class _SharedInput(nn.Module):  # type: ignore[misc]
    """The `A` of all layers that read one input, (adapters, layers * rank, in)."""

    def __init__(self, adapters: StackedAdapters, layers: int, features: int, like: torch.Tensor) -> None:
        super().__init__()
        self.A = nn.Parameter(like.new_zeros((adapters.count, layers * adapters.rank, features)))
        self._adapters = [adapters]  # in a list, since a module would take it for a part of the model
        self._layers = layers
        self._seen: Any = None
        self._reduced: tuple[torch.Tensor, ...] = ()
        self._taken = 0

    def reduced(self, x: torch.Tensor, rows: _Rows, layer: int) -> torch.Tensor:
        """`x A^T` of one of the layers, (adapters, rows, rank), computed for all of them at the first call."""
        if self._seen is not x:
            self._seen = x
            self._taken = 0
            product = torch.bmm(_by_adapter(x.to(self.A.dtype), rows), _chosen(self.A, rows).transpose(1, 2))
            self._reduced = product.split(self._adapters[0].rank, dim=-1)
        found = self._reduced[layer]
        self._taken += 1
        if self._taken == self._layers:
            self._seen, self._reduced = None, ()
        return found


class StackedLinear(nn.Module):  # type: ignore[misc]
    """A frozen linear layer with a stack of adapters."""

    def __init__(self, base: nn.Linear, adapters: StackedAdapters, shared: _SharedInput, place: int) -> None:
        super().__init__()
        self.base = base
        self.B = nn.Parameter(shared.A.new_zeros((adapters.count, base.out_features, adapters.rank)))
        if place == 0:
            self.shared = shared
        self._shared = [shared]
        self._adapters = [adapters]
        self._place = place
        self._merged: torch.Tensor | None = None
        self._in_use: torch.Tensor | None = None

    def merge(self) -> None:
        """Keeps base and delta as one matrix per adapter, until `unmerge`."""
        shared, rank = self._shared[0], self._adapters[0].rank
        reducing = shared.A[:, self._place * rank : (self._place + 1) * rank]
        merged = self.base.weight.expand(len(self.B), -1, -1)
        self._merged = (
            torch.baddbmm(merged, self.B, reducing, alpha=self._adapters[0].scaling).transpose(1, 2).contiguous()
        )

    def unmerge(self) -> None:
        self._merged = self._in_use = None

    def use(self, rows: _Rows | None) -> None:
        """Makes the merged weights ready for such a batch."""
        self._in_use = None
        if self._merged is not None and rows is not None and rows.even:
            self._in_use = _chosen(self._merged, rows)

    def _reduced(self, x: torch.Tensor, rows: _Rows) -> torch.Tensor:
        """`x A^T`, (adapters, rows, rank). Under dropout every layer draws its own zeros, as in PEFT."""
        shared, adapters = self._shared[0], self._adapters[0]
        if not (self.training and adapters.dropout):
            return shared.reduced(x, rows, self._place)
        dropped = nn.functional.dropout(x.to(shared.A.dtype), adapters.dropout)
        own = shared.A[:, self._place * adapters.rank : (self._place + 1) * adapters.rank]
        return torch.bmm(_by_adapter(dropped, rows), _chosen(own, rows).transpose(1, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        adapters = self._adapters[0]
        rows = adapters.rows
        if rows is None:
            return self.base(x)
        if self._in_use is not None:
            product = torch.bmm(_by_adapter(x, rows), self._in_use).view(*x.shape[:-1], -1)
            return product if self.base.bias is None else product + self.base.bias
        reduced = self._reduced(x, rows)
        raised = _chosen(self.B, rows).transpose(1, 2)
        if rows.even and x.dtype == self.B.dtype and not torch.is_autocast_enabled(x.device.type):
            added: torch.Tensor = self.base(_by_adapter(x, rows))
            return added.baddbmm_(reduced, raised, alpha=adapters.scaling).view(*x.shape[:-1], -1)
        base = self.base(x)
        delta = torch.bmm(reduced, raised) * adapters.scaling
        if rows.even:
            delta = delta.view_as(base)
        else:
            assert rows.rows is not None
            assert rows.places is not None
            by_place = delta.view(-1, *base.shape[1:])
            delta = torch.zeros_like(base, dtype=delta.dtype).index_copy(0, rows.rows, by_place[rows.places])
        return (base + delta).to(base.dtype)


def _by_adapter(x: torch.Tensor, rows: _Rows) -> torch.Tensor:
    """(rows, ..., features) -> (adapters, rows of one * ..., features)."""
    if not rows.even:
        assert rows.slots is not None
        x = x[rows.slots.flatten()]
    return x.reshape(len(rows.adapters), -1, x.shape[-1])


def _chosen(weights: torch.Tensor, rows: _Rows) -> torch.Tensor:
    """The weights of the adapters that occur; as they are, where all do."""
    first, last, count = rows.adapters[0], rows.adapters[-1], len(rows.adapters)
    if last - first + 1 == count:
        return weights if count == len(weights) else weights[first : last + 1]
    return weights[list(rows.adapters)]


class StackedAdapters:
    """K adapters of one LoRA configuration, put on a model and taken off again.

    While they are on, the model's rows are those of `assign`; its trainable parameters are those of all adapters.
    """

    reference = None
    """Of a KL term: the model without its adapters."""

    def __init__(self, model: Any, config: Any, count: int) -> None:
        """`config`: a `peft.LoraConfig` with a list of target modules. All adapters begin as no change at all.

        Raises UserError for what a stack cannot hold: other kinds of LoRA, or targets that are no linear layers.
        """
        _require_plain(config)
        self.dropout: float = config.lora_dropout
        if self.dropout and count > 1:
            raise UserError(f"lora.dropout = {self.dropout:g} takes an adapter by itself: its draws would be shared")
        self.model = model
        self.config = config
        self.count = count
        self.rank: int = config.r
        self.scaling: float = config.lora_alpha / config.r
        self.rows: _Rows | None = None
        self._merged = False
        self._layers: dict[str, tuple[StackedLinear, _SharedInput, int]] = {}
        self._frozen = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for names in self._grouped():
            self._stack(names)
        self._tell_trainer(there=True)

    def assign(self, adapter_of_row: Sequence[int] | None) -> None:
        """The adapter of each row of the batches to come; -1, or None for all rows: the base policy.

        Rows that stand together by adapter, ascending, equally many each, are computed without any copying.
        """
        if adapter_of_row is None or all(adapter == NO_ADAPTER for adapter in adapter_of_row):
            self.rows = None
        else:
            self.rows = _arranged(adapter_of_row, next(self.model.parameters()).device)
        if self._merged:
            for layer, _, _ in self._layers.values():
                layer.use(self.rows)

    @contextmanager
    def merged(self) -> Iterator[None]:
        """For decoding: every adapter added to a copy of the base's weights, so that a layer is one matrix product.

        Nothing happens where the copies of several adapters would take more than MERGED_BYTES, or where the base has
        less than float32, because the sum would be rounded to its precision.
        """
        layers = [layer for layer, _, _ in self._layers.values()]
        weights = [layer.base.weight for layer in layers]
        size = self.count * sum(weight.nbytes for weight in weights)
        if (self.count > 1 and size > MERGED_BYTES) or any(
            weight.dtype not in (torch.float32, torch.float64) for weight in weights
        ):
            yield
            return
        with torch.no_grad():
            for layer in layers:
                layer.merge()
        self._merged = True
        try:
            yield
        finally:
            self._merged = False
            for layer in layers:
                layer.unmerge()

    def parameters(self) -> list[nn.Parameter]:
        """All trainable parameters; the first dimension of each is the adapter."""
        reducing = [shared.A for _, shared, place in self._layers.values() if place == 0]
        return reducing + [layer.B for layer, _, _ in self._layers.values()]

    def clip_gradients(self, most: float) -> list[float]:
        """Clips each adapter's gradients by itself to the norm `most`. Returns the norms before, per adapter."""
        gradients = [parameter.grad for parameter in self.parameters() if parameter.grad is not None]
        norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)
        factors = (most / (norms + CLIP_EPSILON)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factors.view(-1, 1, 1).to(gradient.dtype))
        return norms.tolist()  # type: ignore[no-any-return]

    def initialise(self, adapter: int, seed: int) -> None:
        """Gives the adapter the weights that PEFT draws for a run of this seed, as TRL's trainer does it."""
        from peft import get_peft_model, get_peft_model_state_dict
        from transformers import set_seed

        with self._off():
            set_seed(seed)
            fresh = get_peft_model(self.model, self.config)
            weights = {name: weight.clone() for name, weight in get_peft_model_state_dict(fresh).items()}
            fresh.unload()
        self.set_state(adapter, weights)

    def load(self, adapter: int, folder: str | Path) -> None:
        """Takes over a PEFT adapter. Raises UserError if it has another shape."""
        from peft import load_peft_weights

        self.set_state(adapter, load_peft_weights(str(folder), device="cpu"), f"adapter {str(folder)!r}")

    def state(self, adapter: int) -> dict[str, torch.Tensor]:
        """The adapter's weights under the names that PEFT gives them in its files."""
        state = {}
        for name, (layer, shared, place) in self._layers.items():
            kept = slice(place * self.rank, (place + 1) * self.rank)
            state[_peft_name(name, "A")] = shared.A.detach()[adapter, kept].clone()
            state[_peft_name(name, "B")] = layer.B.detach()[adapter].clone()
        return state

    def set_state(self, adapter: int, weights: dict[str, torch.Tensor], source: str = "the weights") -> None:
        """The reverse of `state`. Raises UserError where names or shapes differ."""
        missing = dict(weights)
        with torch.no_grad():
            for name, (layer, shared, place) in self._layers.items():
                kept = slice(place * self.rank, (place + 1) * self.rank)
                for letter, target in (("A", shared.A[adapter, kept]), ("B", layer.B[adapter])):
                    weight = missing.pop(_peft_name(name, letter), None)
                    if weight is None or weight.shape != target.shape:
                        raise UserError(f"{source}: no LoRA weights of rank {self.rank} for the layer {name}")
                    target.copy_(weight)
        if missing:
            raise UserError(f"{source}: weights for {next(iter(missing))}, which is not adapted here")

    def save(self, adapter: int, folder: str | Path) -> None:
        """Writes an ordinary PEFT adapter, as `PeftModel.from_pretrained` reads it."""
        from copy import copy

        from safetensors.torch import save_file

        Path(folder).mkdir(parents=True, exist_ok=True)
        state = {name: weight.cpu().contiguous() for name, weight in self.state(adapter).items()}
        save_file(state, Path(folder) / "adapter_model.safetensors", metadata={"format": "pt"})
        config = copy(self.config)
        config.inference_mode = True
        config.base_model_name_or_path = getattr(self.model.config, "name_or_path", None)
        config.save_pretrained(folder)

    def finite(self) -> list[bool]:
        """Per adapter: all its weights are finite numbers."""
        with torch.no_grad():
            sums = [parameter.sum(dim=(1, 2)) for parameter in self.parameters()]
            return torch.isfinite(torch.stack(sums).sum(0)).tolist()  # type: ignore[no-any-return]

    def remove(self) -> None:
        """Gives the model back its own layers, as they were to the bit."""
        for name, (layer, _, _) in self._layers.items():
            self._put(name, layer.base)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(self._frozen[name])
        self._tell_trainer(there=False)
        self.rows = None

    def _tell_trainer(self, there: bool) -> None:
        """transformers' trainer refuses quantised models on which it finds no adapters of PEFT's own."""
        if getattr(self.model, "is_quantized", False):
            self.model._hf_peft_config_loaded = there

    def _grouped(self) -> list[list[str]]:
        """Names of the layers to adapt, those that read one input together."""
        targets = set(self.config.target_modules)
        found = [
            name
            for name, _ in self.model.named_modules()
            if name in targets or name.rpartition(".")[2] in targets or any(name.endswith(f".{t}") for t in targets)
        ]
        for name in found:
            if not isinstance(self.model.get_submodule(name), nn.Linear):
                raise UserError(f"lora.target_modules: {name} is no linear layer, which a stack of adapters needs")
        if not found:
            raise UserError(f"lora.target_modules = {sorted(targets)} names no layer of the model")
        groups: dict[str, list[str]] = {}
        for name in found:
            parent, _, own = name.rpartition(".")
            together = next((names for names in SHARED_INPUTS if own in names), (own,))
            groups.setdefault(f"{parent} {together}", []).append(name)
        return list(groups.values())

    def _stack(self, names: Sequence[str]) -> None:
        bases = [self.model.get_submodule(name) for name in names]
        weight = bases[0].weight
        # As PEFT does it: adapters of a base in half precision, or quantised, are trained in full.
        like = weight.new_empty((), dtype=torch.promote_types(weight.dtype, torch.float32))
        shared = _SharedInput(self, len(names), bases[0].in_features, like)
        for place, (name, base) in enumerate(zip(names, bases, strict=True)):
            layer = StackedLinear(base, self, shared, place)
            self._layers[name] = (layer, shared, place)
            self._put(name, layer)

    def _put(self, name: str, layer: nn.Module) -> None:
        parent, _, own = name.rpartition(".")
        setattr(self.model.get_submodule(parent), own, layer)

    @contextmanager
    def _off(self) -> Iterator[None]:
        for name, (layer, _, _) in self._layers.items():
            self._put(name, layer.base)
        try:
            yield
        finally:
            for name, (layer, _, _) in self._layers.items():
                self._put(name, layer)


def _peft_name(layer: str, letter: str) -> str:
    return f"base_model.model.{layer}.lora_{letter}.weight"


def _require_plain(config: Any) -> None:
    """Raises UserError for a LoRA configuration with more to it than two matrices per layer."""
    for field, value in PLAIN_LORA.items():
        if (getattr(config, field, value) or value) != value:
            raise UserError(f"a stack of LoRA adapters takes no {field} = {getattr(config, field)!r}; it is plain LoRA")
    if isinstance(config.target_modules, str) or not config.target_modules:
        raise UserError("a stack of LoRA adapters needs the names of its target modules as a list")


@contextmanager
def stacked(model: Any, folders: Sequence[str]) -> Iterator[StackedAdapters]:
    """`model` with the PEFT adapters of all folders on it, in that order; afterwards it is what it was, to the bit.

    The folders' adapters must be of one shape, see `stackable_shape`. Raises UserError otherwise, and
    FloatingPointError if one is not finite.
    """
    from peft import PeftConfig

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
