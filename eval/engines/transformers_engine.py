"""Generation with transformers in this process: batches sorted by length, adapters of one shape in one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from eval.engines.adapters import adapted, stackable_shape, stacked
from eval.engines.base import Generated, Sampling
from eval.engines.decoding import decode, uniform_draws
from eval.engines.policy import Policy, load_policy
from eval.tasks.base import Message
from rewards_generated.errors import UserError

if TYPE_CHECKING:
    from eval.engines.stacked_adapters import StackedAdapters

STACKED_ROWS = 512
"""Rows in one batch of several adapters, where the caller says nothing else."""


class TransformersEngine:
    """Implements `eval.engine.GenerationEngine` for a loaded policy.

    An adapter is a folder: a PEFT adapter of the policy, or a whole model that was tuned from it.
    """

    def __init__(self, policy: Policy, batch_size: int = 64, stacked_rows: int = STACKED_ROWS) -> None:
        """`batch_size`: rows of one adapter that are decoded together; several adapters of one shape are decoded
        together up to `stacked_rows` rows. Raises UserError for a `batch_size` below 1."""
        if batch_size < 1:
            raise UserError(f"batch_size = {batch_size} must be at least 1")
        self.policy = policy
        self.batch_size = batch_size
        self.stacked_rows = stacked_rows

    def generate(
        self,
        prompts: Sequence[Sequence[Message]],
        sampling: Sampling,
        adapters: str | Sequence[str | None] | None = None,
    ) -> list[Generated]:
        """Completions in the order of the prompts; row i of a sampled call depends on `seed` and i alone.

        Raises ValueError if there are not as many adapters as prompts, and UserError for a folder without adapter.
        """
        if adapters is None or isinstance(adapters, str):
            adapters = [adapters] * len(prompts)
        if len(adapters) != len(prompts):
            raise ValueError(f"{len(adapters)} adapters were given for {len(prompts)} prompts")
        tokens = self.policy.prompt_tokens(prompts)
        draws = None
        if sampling.temperature > 0:
            period = sampling.draws_period or len(prompts)
            drawn = uniform_draws(period, sampling.max_completion_tokens, sampling.seed)
            draws = drawn[[row % period for row in range(len(prompts))]]
        rows_of: dict[str | None, list[int]] = {}
        for row, adapter in enumerate(adapters):
            rows_of.setdefault(adapter, []).append(row)
        for rows in rows_of.values():
            rows.sort(key=lambda row: (-len(tokens[row]), tokens[row], row))
        completions: list[list[int]] = [[] for _ in prompts]

        def complete(model: Any, batch: list[int], stack: StackedAdapters | None, owners: list[int] | None) -> None:
            decoded = decode(
                model,
                [tokens[row] for row in batch],
                stop_tokens=self.policy.stop_tokens,
                pad_token=self.policy.tokenizer.pad_token_id,
                max_completion_tokens=sampling.max_completion_tokens,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                draws=draws[batch] if draws is not None else None,
                adapters=stack,
                adapter_of_prompt=owners,
            )
            for row, completion in zip(batch, decoded, strict=True):
                completions[row] = completion

        for together in self._together(list(rows_of)):
            if len(together) == 1:
                rows = rows_of[together[0]]
                with self._adapted(together[0]) as model:
                    for start in range(0, len(rows), self.batch_size):
                        complete(model, rows[start:][: self.batch_size], None, None)
            else:
                with stacked(self.policy.model, [folder for folder in together if folder is not None]) as stack:
                    for start in range(0, max(len(rows_of[folder]) for folder in together), self.batch_size):
                        batch = {
                            place: rows_of[folder][start:][: self.batch_size] for place, folder in enumerate(together)
                        }
                        complete(
                            self.policy.model,
                            [row for rows in batch.values() for row in rows],
                            stack,
                            [place for place, rows in batch.items() for _ in rows],
                        )
        stop_tokens = set(self.policy.stop_tokens)
        return [
            Generated(text, len(ids), truncated=not ids or ids[-1] not in stop_tokens)
            for text, ids in zip(self.policy.texts(completions), completions, strict=True)
        ]

    def _together(self, adapters: list[str | None]) -> list[list[str | None]]:
        """The adapters in lists of such as can decode in one batch; each by itself where that is not possible."""
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


def _dtype_name(model: Any) -> Literal["float32", "bfloat16"]:
    import torch

    return "bfloat16" if model.dtype == torch.bfloat16 else "float32"
