"""TRL's GRPO trainer with a second layer: batches of its own beside the first's. Importing this imports torch and TRL.

Each layer's batch is sampled, scored and given its advantages by TRL as if it were the only one, with groups of its
own size. A step that trains both layers puts the two batches together, and its loss is TRL's over all their rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from eval.engines.base import Rollouts
from trainer.grpo.pack_trainer import PackTrainer, rows_of
from trainer.multilayer.algorithm import Multilayer
from trainer.multilayer.scoring import LayeredScoring

LEFT_PADDED = frozenset({"prompt_ids", "prompt_mask"})
"""Of TRL's tensors with one column per position, those whose padding stands on the left."""

_NOTED = ("truncated", "groups_without_spread")
"""What is logged of the second layer's rollouts."""


class MultilayerTrainer(PackTrainer):
    """Runs with two layers, in one batch."""

    def __init__(self, *, scorings: Sequence[LayeredScoring], settings: Multilayer, **arguments: Any) -> None:
        """`scorings`: of each member."""
        super().__init__(**arguments)
        self._scorings = scorings
        self._settings = settings
        self._layer = 1

    def _sample(self, prompt_ids: list[list[int]], step: int) -> Rollouts:
        if self._layer == 1:
            return super()._sample(prompt_ids, step)
        return self._rollouts(prompt_ids, self._row_members, step, layer=self._layer)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        step = self.state.global_step + 1
        batches = []
        figures: dict[int, dict[str, list[float]]] = {}
        for layer in self._settings.trains(step):
            if layer == 1:
                batches.append(super()._generate_and_score_completions(inputs))
                figures = self._figures
                continue
            rows = [{**row, "member": member} for member in self._alive() for row in self._scorings[member].rows(step)]
            with second_layer(self, self._settings.group_size(self.num_generations)):
                batch = super()._generate_and_score_completions(rows)
            for member in self._members:
                self._scorings[member].note(step, _noted(self._figures[member]))
            self._figures = {member: figures.get(member, defaultdict(list)) for member in self._members}
            batches.append(without_unqualified(batch, [row for row in rows if row["member"] in self._members]))
        batch = joined(batches)
        # Rows of a member stand together, the first layer's before the second's; a member that failed in between
        # is left out.
        owners = batch["member"].tolist()
        order = [row for member in self._members for row, owner in enumerate(owners) if owner == member]
        batch = rows_of(batch, order)
        self._row_members = batch["member"].tolist()
        for member in self._members:
            self._item_counts[member] = batch["completion_mask"][batch["member"] == member].sum()
        return batch


@contextmanager
def second_layer(trainer: Any, group_size: int) -> Iterator[None]:
    """The trainer with groups of that size, sampling for its second layer."""
    generations, trainer.num_generations, trainer._layer = trainer.num_generations, group_size, 2
    try:
        yield
    finally:
        trainer.num_generations, trainer._layer = generations, 1


def without_unqualified(batch: dict[str, Any], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The batch with rows that only fill it masked out, so that they add nothing to the loss."""
    kept = torch.tensor([row["qualified"] for row in rows], device=batch["advantages"].device)
    if kept.all():
        return batch
    return {
        **batch,
        "advantages": batch["advantages"] * kept,
        "completion_mask": batch["completion_mask"] * kept[:, None],
    }


def joined(batches: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One batch of all rows in order; tensors of different widths are padded as TRL pads them."""
    if len(batches) == 1:
        [batch] = batches
    else:
        batch = {name: _joined(name, [part[name] for part in batches]) for name in batches[0]}
    return {**batch, "num_items_in_batch": batch["completion_mask"].sum()}


def _joined(name: str, parts: Sequence[Any]) -> Any:
    if not isinstance(parts[0], torch.Tensor) or parts[0].ndim == 0:
        return parts[0]
    if parts[0].ndim == 1:
        return torch.cat(list(parts))
    width = max(part.size(1) for part in parts)
    missing = [width - part.size(1) for part in parts]
    # Where the padding has a mask, its tokens do not matter: any token that exists will do.
    return torch.cat(
        [
            torch.nn.functional.pad(part, (gap, 0) if name in LEFT_PADDED else (0, gap))
            for part, gap in zip(parts, missing, strict=True)
        ]
    )


def _noted(found: dict[str, list[Any]]) -> dict[str, float]:
    return {name: found[name][-1] for name in _NOTED if found.get(name)}
