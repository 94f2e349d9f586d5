"""The contract of evaluating a policy, and adapters of it, on several suites in one process."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from eval.prediction import Prediction
from eval.tasks.base import Split, TaskReference
from trainer.jobs.train import Hardware


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Suite(_Frozen):
    """The first questions of one split of one task."""

    task: TaskReference
    """The task: `name` and its `options`."""
    split: Split = "test"
    """Split that is answered."""
    questions: int = Field(ge=1)
    """The first so many questions of the split."""


class SuitesJob(_Frozen):
    """Greedy answers of a policy. Everything that they depend on, beside the contents of policy and adapters."""

    kind: Literal["suites"] = "suites"
    label: str
    """For people. Not part of the digest."""
    base_model: str
    """`testbed`, a local folder, or a hub id."""
    base_digest: str | None = None
    """Digest of the job that made `base_model`; with it the digest names its content, not its place."""
    adapters: tuple[str | None, ...] = (None,)
    """Folders of PEFT adapters of it, absolute; None: the policy itself."""
    adapter_digests: tuple[str | None, ...] = ()
    """Digests of the jobs that trained them, in the same order: with them the digest names contents, not places."""
    suites: dict[str, Suite] = Field(min_length=1)
    """By name, in the order in which they are answered."""
    max_completion_tokens: int = Field(ge=1)
    batch_size: int = Field(default=64, ge=1)
    hardware: Hardware = Hardware()

    @property
    def digest(self) -> str:
        """SHA-256 of the description without its label, hex."""
        left_out = {"label"}
        if self.base_digest:
            left_out.add("base_model")
        if self.adapter_digests:
            left_out.add("adapters")
        return hashlib.sha256(self.model_dump_json(exclude=left_out).encode()).hexdigest()


class SuitesResult(_Frozen):
    """What comes back. `failure` is None exactly when every suite was answered."""

    digest: str
    failure: str | None = None
    """One sentence saying why there are no predictions."""
    lost: bool = False
    """The process was killed or crashed and left no result, so the failure says nothing of the job: run it again."""
    predictions: tuple[dict[str, tuple[Prediction, ...]], ...] = ()
    """Per adapter, per suite, in the job's order: its questions in order."""
    seconds: dict[str, float] = {}
    """Wall-clock by phase: start, evaluate."""
    versions: dict[str, str] = {}
