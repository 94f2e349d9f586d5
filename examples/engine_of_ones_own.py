"""A generation engine of one's own: the model called once per token, without a cache, one prompt at a time.

    engine: {name: "examples.engine_of_ones_own:OneTokenAtATime"}

in a configuration, run from the folder above this one. It is slow and short; a fast one would hand the prompts to a
server. `check_engine` says whether it does all that an engine has to do; run this file to see it:
python examples/engine_of_ones_own.py
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from eval.engines.base import Adapter, GenerationEngine, LiveAdapters, Sampling
from eval.engines.conformance import check_engine
from eval.engines.policy import Policy, load_policy


class OneTokenAtATime(GenerationEngine):
    def __init__(self, policy: Policy, batch_size: int = 64) -> None:
        super().__init__(policy, batch_size)
        self._live = tempfile.TemporaryDirectory(prefix="adapters-")
        self._model = load_policy(policy.source, "cpu").model  # its own copy: the trainer's is left alone

    def refresh(self, adapters: LiveAdapters | None) -> None:
        """An engine that cannot look into the trainer takes the adapters over as files."""
        for place in range(adapters.count if adapters else 0):
            adapters.save(place, Path(self._live.name) / str(place))

    def complete(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        adapters: Sequence[Adapter],
        draws: Sequence[tuple[int, int]],
    ) -> list[list[int]]:
        return [self._one(*row, sampling) for row in zip(prompts, adapters, draws, strict=True)]

    def log_probabilities(
        self, contexts: Sequence[Sequence[int]], tokens: Sequence[int], adapters: Sequence[Adapter]
    ) -> list[float]:
        """By these a training run sees that the files were taken over; an engine without weights of its own needs no
        such method."""
        found = []
        for context, token, adapter in zip(contexts, tokens, adapters, strict=True):
            with self._adapted(adapter) as model, torch.inference_mode():
                logits = model(torch.tensor([list(context)])).logits[0, -1]
            found.append(torch.log_softmax(logits, dim=-1)[token].item())
        return found

    @contextmanager
    def _adapted(self, adapter: Adapter) -> Iterator[Any]:
        folder = Path(self._live.name) / str(adapter) if isinstance(adapter, int) else adapter
        model = self._model if folder is None else PeftModel.from_pretrained(self._model, str(folder))
        yield model
        if folder is not None:
            model.unload()

    def _one(self, prompt: Sequence[int], adapter: Adapter, draw: tuple[int, int], sampling: Sampling) -> list[int]:
        generator = torch.Generator().manual_seed(1_000_003 * draw[0] + draw[1])
        ids, ends = list(prompt), self.policy.stop_tokens
        with self._adapted(adapter) as model, torch.inference_mode():
            while len(ids) < len(prompt) + sampling.max_completion_tokens and (
                ids == list(prompt) or ids[-1] not in ends
            ):
                logits = model(torch.tensor([ids])).logits[0, -1]
                if sampling.temperature == 0:
                    ids.append(int(logits.argmax()))
                else:
                    share = torch.softmax(logits / sampling.temperature, dim=-1)
                    ids.append(int(torch.multinomial(share, 1, generator=generator)))
        return ids[len(prompt) :]


if __name__ == "__main__":
    from eval.tasks.base import TaskReference
    from eval.tasks.registry import build_task
    from trainer.testbed import policy_path

    policy = load_policy(str(policy_path()), "cpu")
    task = build_task(TaskReference(name="testbed", options={"train": 4, "validation": 4, "test": 4}))
    check_engine(OneTokenAtATime, policy, policy.prompt_tokens([item.prompt for item in task.examples("train")]))
    print("it does all that an engine has to do")
