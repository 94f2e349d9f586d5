"""The contract of supervised fine-tuning as a job: a description in, a policy's folder out."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import Field

from eval.engines.prompting import PromptFormat
from eval.tasks.base import TaskReference
from trainer.jobs.base import Job, Result
from trainer.jobs.settings import Frozen, Prompts, SftSettings

POLICY = "policy"
"""Folder of a whole model with its tokenizer, in a job's folder."""


class PairSource(Frozen):
    """Where pairs of prompt and completion come from."""

    file: str | None = None
    """JSONL, one pair per line: `prompt` and `completion`, each a text or a list of chat messages. Empty: the
    worked solutions of the task's train split, where it has them; for the testbed, reasoning traces written for it."""
    pairs: int = Field(default=2000, ge=1)
    """The first so many pairs of the file, or questions of the train split."""
    reflecting: float = Field(default=0.5, ge=0, le=1)
    """Share of the testbed's traces that check every equation and mend what they find; the others go straight through.
    Files are taken as they are."""


class FineTuneJob(Job):
    """Everything that a supervised run depends on."""

    kind: Literal["fine_tune"] = "fine_tune"
    base_model: str
    """`testbed`, a local folder, or a hub id."""
    prompt_format: Prompts = PromptFormat()
    task: TaskReference
    """Whose train split the traces answer."""
    source: PairSource
    file_sha256: str | None = None
    """Of the file of pairs; with it the digest names its content, not its place."""
    settings: SftSettings

    @property
    def digest(self) -> str:
        """SHA-256 of the description without its label, hex."""
        described = self.model_dump(mode="json", exclude={"label", "places"})
        if self.file_sha256 is not None:
            del described["source"]["file"]
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.base_model, *([] if self.source.file is None else [self.source.file]))

    @property
    def tasks(self) -> tuple[TaskReference, ...]:
        return (self.task,) if self.source.file is None else ()


class FineTuneResult(Result):
    """What comes back. `failure` is None exactly when there is a policy. Its seconds by phase: start, train; and
    processor, the CPU time of train, which other processes disturb less."""

    policy: str | None = None
    """Folder of the whole policy, relative to the job's folder; after LoRA the base with the adapter merged into it."""
    adapter: str | None = None
    """Folder of the PEFT adapter, relative to the job's folder; None after full tuning."""
    losses: tuple[tuple[int, float], ...] = ()
    """(step, loss) as logged."""
    pairs: int = 0
    trained_parameters: int = 0

    @property
    def files(self) -> tuple[str, ...]:
        return () if self.policy is None else (self.policy,)
