"""Generation with transformers in this process: batches sorted by length, adapters of one shape in one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from eval.engines.base import Adapter, GenerationEngine, LiveAdapters, Sampling
from eval.engines.decoding import decode, uniform_draws
from eval.engines.policy import Policy, load_policy
from rewards_generated.errors import UserError

if TYPE_CHECKING:
    import torch

    from eval.engines.stacked_adapters import StackedAdapters

STACKED_ROWS = 512
"""Rows in one batch of several adapters, where the caller says nothing else."""


class TransformersEngine(GenerationEngine):
    """Decodes with the loaded policy itself; adapters in training are those on its model, so nothing is copied."""

    def __init__(self, policy: Policy, batch_size: int = 64, stacked_rows: int = STACKED_ROWS) -> None:
        """Several adapters of one shape are decoded together up to `stacked_rows` rows; those in training, all rows of
        a call at once."""
        super().__init__(policy, batch_size)
        self.stacked_rows = stacked_rows
        self._live: LiveAdapters | None = None

    def refresh(self, adapters: LiveAdapters | None) -> None:
        self._live = adapters

    def complete(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        adapters: Sequence[Adapter],
        draws: Sequence[tuple[int, int]],
    ) -> list[list[int]]:
        """Raises ValueError for rows of adapters in training beside others: those are on the model, or they are not."""
        if not prompts:
            return []
        numbers = _numbers(draws, sampling.max_completion_tokens) if sampling.temperature > 0 else None
        completions: list[list[int]] = [[] for _ in prompts]

        def decode_rows(
            model: Any, rows: list[int], stack: StackedAdapters | None = None, owners: list[int] | None = None
        ) -> None:
            decoded = decode(
                model,
                [prompts[row] for row in rows],
                stop_tokens=self.policy.stop_tokens,
                pad_token=self.policy.tokenizer.pad_token_id,
                max_completion_tokens=sampling.max_completion_tokens,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                draws=numbers[rows] if numbers is not None else None,
                adapters=stack,
                adapter_of_prompt=owners,
                over=self.policy.stopped if self.policy.format.stop_strings else None,
            )
            for row, completion in zip(rows, decoded, strict=True):
                completions[row] = completion

        places = [adapter for adapter in adapters if isinstance(adapter, int)]
        if places:
            if self._live is None or len(places) < len(adapters):
                raise ValueError("rows of adapters in training need `refresh` first, and a call of their own")
            model = self.policy.model
            model.eval()
            try:
                decode_rows(model, list(range(len(prompts))), *_on_model(self._live, places))
            finally:
                model.train()
            return completions

        from eval.engines.stacked_adapters import stacked

        rows_of: dict[str | None, list[int]] = {}
        for row, adapter in enumerate(adapters):
            rows_of.setdefault(adapter, []).append(row)  # type: ignore[arg-type]
        for rows in rows_of.values():
            rows.sort(key=lambda row: (-len(prompts[row]), prompts[row], row))
        for together in self._together(list(rows_of)):
            if len(together) == 1:
                rows = rows_of[together[0]]
                with self._adapted(together[0]) as model:
                    for start in range(0, len(rows), self.batch_size):
                        decode_rows(model, rows[start:][: self.batch_size])
            else:
                with stacked(self.policy.model, [folder for folder in together if folder is not None]) as stack:
                    for start in range(0, max(len(rows_of[folder]) for folder in together), self.batch_size):
                        batch = {
                            place: rows_of[folder][start:][: self.batch_size] for place, folder in enumerate(together)
                        }
                        decode_rows(
                            self.policy.model,
                            [row for rows in batch.values() for row in rows],
                            stack,
                            [place for place, rows in batch.items() for _ in rows],
                        )
        return completions

    def _together(self, adapters: list[str | None]) -> list[list[str | None]]:
        """The adapters in lists of such as can decode in one batch; each by itself where that is not possible."""
        from eval.engines.stacked_adapters import stackable_shape

        shapes: dict[str, list[str | None]] = {}
        for adapter in adapters:
            shapes.setdefault(stackable_shape(adapter) or f"alone: {adapter}", []).append(adapter)
        most = max(1, self.stacked_rows // self.batch_size)
        return [found[start : start + most] for found in shapes.values() for start in range(0, len(found), most)]

    @contextmanager
    def _adapted(self, adapter: str | None) -> Iterator[Any]:
        """The base model as the folder changes it, for the duration."""
        if adapter is None:
            yield self.policy.model
        elif (Path(adapter) / "adapter_config.json").is_file():
            with adapted(self.policy.model, adapter) as model:
                yield model
        elif (Path(adapter) / "config.json").is_file():
            yield load_policy(adapter, self.policy.model.device.type, _dtype_name(self.policy.model)).model
        else:
            raise UserError(f"adapter {adapter!r} holds neither adapter_config.json nor config.json")


def _on_model(live: LiveAdapters, places: list[int]) -> tuple[StackedAdapters | None, list[int] | None]:
    """What `decode` needs for rows of adapters in training; nothing where the whole model is what is trained."""
    from eval.engines.stacked_adapters import StackedAdapters

    return (live, places) if isinstance(live, StackedAdapters) else (None, None)


def _numbers(draws: Sequence[tuple[int, int]], tokens: int) -> torch.Tensor:
    """The uniform numbers of each row, (rows, tokens)."""
    import torch

    last: dict[int, int] = {}
    for seed, place in draws:
        last[seed] = max(place, last.get(seed, 0))
    drawn = {seed: uniform_draws(most + 1, tokens, seed) for seed, most in last.items()}
    return torch.stack([drawn[seed][place] for seed, place in draws])


def _dtype_name(model: Any) -> Literal["float32", "bfloat16"]:
    import torch

    return "bfloat16" if model.dtype == torch.bfloat16 else "float32"


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
