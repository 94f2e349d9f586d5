"""The contract between the search and whatever runs its jobs: a description in, a result out.

A job is a pure function of its description, so any executor may run it, anywhere, again if need be. Each kind of job is
a subclass of `Job` and one of `Result`, named in `trainer.jobs.registry`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from eval.tasks.base import TaskReference
from rewards_generated.sandbox.settings import SandboxSettings
from trainer.jobs.settings import Frozen, Hardware

FailureOwner = Literal["candidate", "setup", "memory", "process", "engine"]
"""Whose failure it is. `candidate`: the reward or the training itself, which would fail again. `setup`: the model, the
task or the settings; nothing is known of the candidate. `memory`: the job is too large for the machine. `process`: it
was killed or crashed and left no result, or what it samples with did; run it again. `engine`: what it samples with is
not there, or is another than it has to be; nothing is known of the candidate, and no other job would fare better."""


class Result(Frozen):
    """What comes back. `failure` is None exactly when the job came to its end."""

    digest: str
    """Of the job."""
    failure: str | None = None
    """One sentence saying what went wrong."""
    owner: FailureOwner | None = None
    """Of the failure; None without one."""
    seconds: dict[str, float] = Field(default={})
    """Wall-clock by phase, such as start, train, generate, score, evaluate."""
    memory: dict[str, int] = Field(default={})
    """Peaks in bytes: resident, cuda (`trainer.jobs.peak_memory`)."""
    versions: dict[str, str] = Field(default={})
    sha256: dict[str, str] = Field(default={})
    """Of every file in the folders that `files` names, by its path relative to the job's folder."""

    @model_validator(mode="after")
    def _owned(self) -> Result:
        """Raises ValueError for a failure without an owner, or an owner without a failure."""
        if (self.failure is None) != (self.owner is None):
            raise ValueError("`failure` and `owner` go together")
        return self

    @property
    def lost(self) -> bool:
        return self.owner == "process"

    @property
    def files(self) -> tuple[str, ...]:
        """What has to lie in the job's folder for the result to be whole, relative to it."""
        return ()


class Job(Frozen):
    """Everything that the result depends on."""

    kind: str
    label: str
    """For people. Not part of the digest."""
    hardware: Hardware = Hardware()
    places: Annotated[dict[str, str], Field(exclude_if=lambda places: not places)] = Field(default={})
    """Where files and folders that the description names lie on the machine that runs it, by how they are named there.
    Not part of the digest."""

    @property
    def digest(self) -> str:
        """SHA-256 of the description without its label, hex: names the job's folder."""
        return self._digest(set())

    @property
    def runs(self) -> int:
        """Training runs that go on in it side by side: its time limit and its steps count so often."""
        return 1

    @property
    def inputs(self) -> tuple[str, ...]:
        """Base policies and data that it reads, each a path, or a name that is none."""
        return ()

    @property
    def trained(self) -> tuple[str, ...]:
        """Folders that other jobs have trained and that it reads."""
        return ()

    @property
    def siblings(self) -> tuple[str, ...]:
        """Files and folders from which it goes on, relative to the folder in which its own lies."""
        return ()

    @property
    def tasks(self) -> tuple[TaskReference, ...]:
        """Whose questions it asks."""
        return ()

    @property
    def options(self) -> dict[str, Any]:
        """Of engines and algorithms, by the field that holds them."""
        return {}

    @property
    def sandboxes(self) -> tuple[SandboxSettings, ...]:
        """Within which it runs code that others wrote."""
        return ()

    def placed(self, path: str) -> str:
        """Where that lies here."""
        return self.places.get(path, path)

    def placed_task(self, task: TaskReference) -> TaskReference:
        """The task with every file that its options name where it lies here."""
        return task.model_copy(update={"options": _placed(task.options, self.places)}) if self.places else task

    def _digest(self, left_out: set[str]) -> str:
        return hashlib.sha256(self.model_dump_json(exclude={"label", "places", *left_out}).encode()).hexdigest()


def _placed(value: Any, places: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _placed(item, places) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_placed(item, places) for item in value]
    return places.get(value, value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Done:
    """A job that has ended."""

    job: Any
    """The `Job`, as it was given."""
    result: Any
    """The `Result` of its kind."""
    folder: Path
    """Where its files lie: log, result.json, and what its kind leaves."""
