"""The contract of evaluation: answers of one base policy, and of adapters of it, on one or several suites."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from eval.engines.base import EngineSettings
from eval.engines.prompting import PromptFormat
from eval.prediction import Prediction
from eval.tasks.base import Split, TaskReference
from trainer.jobs.base import Job, Result
from trainer.jobs.settings import Frozen, Ids, Prompts


class Suite(Frozen):
    """The first questions of one split of one task."""

    task: TaskReference
    """The task: `name` and its `options`."""
    split: Split = "test"
    """Split that is answered."""
    questions: int = Field(ge=1)
    """The first so many questions of the split."""
    ids: Ids = None


class EvaluateJob(Job):
    """Everything that the predictions depend on, beside the contents of policy and adapters."""

    kind: Literal["evaluate"] = "evaluate"
    base_model: str
    """`testbed`, a local folder, or a hub id."""
    base_digest: str | None = None
    """Digest of the job that made `base_model`; with it the digest names its content, not its place."""
    prompt_format: Prompts = PromptFormat()
    adapters: tuple[str | None, ...] = (None,)
    """Folders of PEFT adapters (or of fully tuned models), absolute; None: the untrained base."""
    adapter_digests: tuple[str | None, ...] = ()
    """Digests of the runs that trained them, in the same order: with them the digest names contents, not places."""
    suites: dict[str, Suite] = Field(min_length=1)
    """By name, in the order in which they are answered."""
    max_completion_tokens: int = Field(ge=1)
    temperature: float = Field(default=0.0, ge=0)
    """0: greedy."""
    samples_per_question: int = Field(default=1, ge=1)
    seed: int = 0
    """Decides the draws where temperature is above 0; they are the same for every adapter."""
    batch_size: int = Field(default=64, ge=1)
    second_turn: str | None = Field(default=None, min_length=1)
    """Phrase with which each policy is shown its answer and answers again; the second answer counts. None: one turn."""
    engine: EngineSettings = EngineSettings()

    @property
    def digest(self) -> str:
        """SHA-256 of the description without its label, hex. Base and adapters count by their digests where given."""
        left_out = {"base_model"} if self.base_digest else set()
        return self._digest(left_out | ({"adapters"} if self.adapter_digests else set()))

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.base_model,)

    @property
    def trained(self) -> tuple[str, ...]:
        return tuple(adapter for adapter in self.adapters if adapter is not None)

    @property
    def tasks(self) -> tuple[TaskReference, ...]:
        return tuple(suite.task for suite in self.suites.values())

    @property
    def options(self) -> dict[str, Any]:
        return {"engine.options": self.engine.options}


class EvaluateResult(Result):
    """What comes back. `failure` is None exactly when every adapter answered every suite."""

    predictions: tuple[dict[str, tuple[Prediction, ...]], ...] = ()
    """Per adapter, per suite, in the job's order: its questions in order, all samples of one question together."""
