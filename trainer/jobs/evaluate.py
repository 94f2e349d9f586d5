"""The contract of evaluation by itself: many adapters of one base, or the base, on one split in one process."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from eval.prediction import Prediction
from eval.tasks.base import Split, TaskReference
from trainer.jobs.train import Hardware


class EvaluationJob(BaseModel):
    """Everything that the predictions depend on, beside the adapters' contents."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["evaluation"] = "evaluation"
    label: str
    """For people. Not part of the digest."""
    base_model: str
    """`testbed`, a local folder, or a hub id."""
    task: TaskReference
    adapters: tuple[str | None, ...] = (None,)
    """Folders of PEFT adapters (or of fully tuned models), absolute; None: the untrained base."""
    adapter_digests: tuple[str | None, ...] = ()
    """Digests of the jobs that trained them, in the same order: with them the digest names contents, not places."""
    split: Split
    limit: int = Field(ge=1)
    """The first so many questions of the split."""
    max_completion_tokens: int = Field(ge=1)
    temperature: float = Field(default=0.0, ge=0)
    """0: greedy."""
    samples_per_question: int = Field(default=1, ge=1)
    seed: int = 0
    """Decides the draws where temperature is above 0; they are the same for every adapter."""
    batch_size: int = Field(default=64, ge=1)
    second_turn: str | None = Field(default=None, min_length=1)
    """Phrase with which each policy is shown its answer and answers again; the second answer counts. None: one pass."""
    hardware: Hardware = Hardware()

    @property
    def digest(self) -> str:
        """SHA-256 of the description without its label, hex. Adapters count by their digests where those are given."""
        left_out = {"label", "adapters"} if self.adapter_digests else {"label"}
        if self.second_turn is None:
            left_out.add("second_turn")
        return hashlib.sha256(self.model_dump_json(exclude=left_out).encode()).hexdigest()


class EvaluationResult(BaseModel):
    """What comes back. `failure` is None exactly when every adapter was evaluated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    failure: str | None = None
    """One sentence saying why there are no predictions."""
    lost: bool = False
    """The process was killed or crashed and left no result, so the failure says nothing of the job: run it again."""
    predictions: tuple[tuple[Prediction, ...], ...] = ()
    """Per adapter, in the job's order: the split's questions in order, with all samples of one question together."""
    seconds: dict[str, float] = {}
    """Wall-clock by phase: start, evaluate."""
    versions: dict[str, str] = {}
