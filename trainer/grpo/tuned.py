"""What is trained: K stacked LoRA adapters, or every weight of one policy."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from eval.engines.policy import Policy
from trainer.jobs.train import TrainJob
from trainer.policy import lora_config

if TYPE_CHECKING:
    import torch

    from eval.engines.stacked_adapters import StackedAdapters


class WholeModel:
    """Every weight of the policy, which is the one member."""

    count = 1

    def __init__(self, policy: Policy, with_reference: bool) -> None:
        """`with_reference`: keeps the model as it was, for a KL term."""
        self._policy = policy
        for parameter in policy.model.parameters():
            parameter.requires_grad_(True)
        self.reference: Any = copy.deepcopy(policy.model).requires_grad_(False) if with_reference else None

    def assign(self, adapter_of_row: Sequence[int] | None) -> None:
        """All rows are the one policy's."""

    def parameters(self) -> list[torch.nn.Parameter]:
        return list(self._policy.model.parameters())

    def clip_gradients(self, most: float) -> list[float]:
        """Clips to the norm `most`. Returns the norm before."""
        from torch.nn.utils import clip_grad_norm_

        return [clip_grad_norm_(self.parameters(), most).item()]

    def finite(self) -> list[bool]:
        import torch

        with torch.no_grad():
            return [bool(torch.isfinite(torch.stack([weight.sum() for weight in self.parameters()])).all())]

    def save(self, adapter: int, folder: str | Path) -> None:
        """Writes the whole model with its tokenizer."""
        self._policy.model.save_pretrained(folder)
        self._policy.tokenizer.save_pretrained(folder)

    def remove(self) -> None:
        """The model stays as it was trained."""


Tuned: TypeAlias = "WholeModel | StackedAdapters"
"""`count` policies in training on one model. `reference`, for a KL term: the model as it was; None: the model itself
without its adapters."""


def tuned(job: TrainJob, policy: Policy) -> Tuned:
    """What the job trains, put on the policy's model. Raises UserError for adapters that cannot be stacked."""
    from eval.engines.stacked_adapters import StackedAdapters

    if job.shared.tuning == "full":
        return WholeModel(policy, with_reference=job.shared.grpo.beta > 0)
    adapters = StackedAdapters(policy.model, lora_config(job.shared.lora), len(job.members))
    for place, member in enumerate(job.members):
        adapters.initialise(place, member.seed)
    return adapters
