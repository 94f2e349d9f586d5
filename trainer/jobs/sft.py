"""The contract of supervised fine-tuning as a job: a description in, a policy's folder out."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from eval.tasks.base import TaskReference
from trainer.jobs.train import Hardware
from trainer.sft.fine_tune import SftSettings

POLICY = "policy"
"""Folder of a whole model with its tokenizer, in a job's folder."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class PairSource(_Frozen):
    """Where pairs of prompt and completion come from."""

    file: str | None = None
    """JSONL, one pair per line: `prompt` and `completion`, each a text or a list of chat messages. Empty: reasoning
    traces of the testbed, written for the questions of the task's train split."""
    pairs: int = Field(default=2000, ge=1)
    """The first so many pairs of the file, or questions of the train split."""
    reflecting: float = Field(default=0.5, ge=0, le=1)
    """Share of the testbed's traces that check every equation and mend what they find; the others go straight through.
    Files are taken as they are."""


class SftJob(_Frozen):
    """Everything that a supervised run depends on; any executor may run it, again if need be."""

    kind: Literal["sft"] = "sft"
    label: str
    """For people. Not part of the digest."""
    base_model: str
    """`testbed`, a local folder, or a hub id."""
    task: TaskReference
    """Whose train split the traces answer."""
    source: PairSource
    file_sha256: str | None = None
    """Of the file of pairs; with it the digest names its content, not its place."""
    settings: SftSettings
    hardware: Hardware = Hardware()

    @property
    def digest(self) -> str:
        """SHA-256 of the description without its label, hex."""
        described = self.model_dump(mode="json", exclude={"label"})
        if self.file_sha256 is not None:
            del described["source"]["file"]
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


class SftJobResult(_Frozen):
    """What comes back. `failure` is None exactly when there is a policy."""

    digest: str
    failure: str | None = None
    """One sentence saying why there is no policy."""
    lost: bool = False
    """The process was killed or crashed and left no result, so the failure says nothing of the job: run it again."""
    policy: str | None = None
    """Folder of the whole policy, relative to the job's folder; after LoRA the base with the adapter merged into it."""
    adapter: str | None = None
    """Folder of the PEFT adapter, relative to the job's folder; None after full tuning."""
    losses: tuple[tuple[int, float], ...] = ()
    """(step, loss) as logged."""
    pairs: int = 0
    trained_parameters: int = 0
    seconds: dict[str, float] = {}
    """Wall-clock by phase: start, train; and processor, the CPU time of train, which other processes disturb less."""
    memory: dict[str, int] = {}
    """Peaks in bytes: resident, cuda; see `trainer.jobs.peak_memory`."""
    versions: dict[str, str] = {}
