"""Generation with transformers in this process: batches sorted by length, one adapter at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from eval.adapters import adapted
from eval.decoding import decode, uniform_draws
from eval.engine import Generated, Sampling
from eval.policy import Policy, load_policy
from eval.tasks.base import Message
from rewards_generated.errors import UserError


class TransformersEngine:
    """Implements `eval.engine.GenerationEngine` for a loaded policy.

    An adapter is a folder: a PEFT adapter of the policy, or a whole model that was tuned from it.
    """

    def __init__(self, policy: Policy, batch_size: int = 64) -> None:
        """`batch_size`: rows that are decoded together. Raises UserError below 1."""
        if batch_size < 1:
            raise UserError(f"batch_size = {batch_size} must be at least 1")
        self.policy = policy
        self.batch_size = batch_size

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
        draws = (
            uniform_draws(len(prompts), sampling.max_completion_tokens, sampling.seed)
            if sampling.temperature > 0
            else None
        )
        completions: list[list[int]] = [[] for _ in prompts]
        for adapter in dict.fromkeys(adapters):
            rows = [row for row, wanted in enumerate(adapters) if wanted == adapter]
            rows.sort(key=lambda row: (-len(tokens[row]), tokens[row], row))
            with self._adapted(adapter) as model:
                for start in range(0, len(rows), self.batch_size):
                    batch = rows[start : start + self.batch_size]
                    decoded = decode(
                        model,
                        [tokens[row] for row in batch],
                        stop_tokens=self.policy.stop_tokens,
                        pad_token=self.policy.tokenizer.pad_token_id,
                        max_completion_tokens=sampling.max_completion_tokens,
                        temperature=sampling.temperature,
                        top_p=sampling.top_p,
                        draws=draws[batch] if draws is not None else None,
                    )
                    for row, completion in zip(batch, decoded, strict=True):
                        completions[row] = completion
        stop_tokens = set(self.policy.stop_tokens)
        return [
            Generated(text, len(ids), truncated=not ids or ids[-1] not in stop_tokens)
            for text, ids in zip(self.policy.texts(completions), completions, strict=True)
        ]

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
