"""How strongly and within which limits reward code runs, and how the function in it is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SandboxSettings(BaseModel):
    """Limits of one worker process; each worker runs one reward function."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    mode: Literal["default", "fast"] = "default"
    """`default` forks a fresh process per batch, so that no state survives; `fast` keeps one sealed process."""
    require: Literal["strict", "standard", "basic"] = "standard"
    """The weakest level that is accepted on this machine; below it, nothing runs."""
    allow_weak: bool = False
    """Run reward code although the machine reaches only `basic` (or `reduced`, on macOS); never set by a default."""
    batch_seconds: float = Field(default=10.0, gt=0)
    """Wall-clock limit of one batch, without the time for which others left it no processor; past it the worker is
    killed and respawned."""
    retry_factor: float = Field(default=2.0, ge=0)
    """Time, as a multiple of batch_seconds, for finding which completion broke a batch that was killed; 0: none."""
    memory_mib: int = Field(default=1024, ge=128)
    """Address-space limit of the worker."""
    recycle_calls: int = Field(default=1000, ge=1)
    """Calls after which `fast` replaces its process by a fresh one."""
    replay_share: float = Field(default=0.02, ge=0, le=1)
    """Share of the completions that are scored again, apart, in a fresh process; one difference unscores the run."""
    lost_seconds: float = Field(default=300.0, gt=0)
    """Seconds, in all, that a reward may make a run wait: the limits that it ran into, and what its other calls take
    beyond half of batch_seconds each; past it, it is not asked any more."""


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """The name and the calling convention of a reward function.

    `sample`: `f(prompt, completion, answer) -> float`, once per sample. `batch`: the convention of TRL,
    `f(prompts=[...], completions=[...], **columns) -> list[float]`, once per batch; the gold answers are passed under
    each name of `answer_columns` (or only under those that the function accepts), and with `conversational` prompts
    and completions are lists of one chat message. `group`: `f(prompt, [completions], answer) -> list[float]`, once per
    group. With `worked_solution` those are sent too, and passed by that name: one of a sample or of a group, a list for
    a batch.
    """

    name: str = "reward"
    kind: Literal["sample", "batch", "group"] = "sample"
    answer_columns: tuple[str, ...] = ("answer", "answers", "solution", "ground_truth", "target")
    conversational: bool = False
    worked_solution: bool = False


@dataclass(frozen=True, slots=True)
class Seal:
    """Which parts of the seal a worker tries to put on.

    All of it, except in tests, which hand a weaker one to a worker to see what then gets through. A weaker seal is
    measured like any other and so falls below the level that settings require; no environment variable and no
    configuration field leads here.
    """

    seccomp: bool = True
    landlock: bool = True
    isolation: bool = True
    """Where permitted: own network and IPC namespaces, an empty root directory, and for root an unprivileged user."""
    extra_modules: tuple[str, ...] = ()
    """Modules imported before the seal beside the usual ones; with them an attack meets the kernel, no ImportError."""


WEAKEST = Seal(seccomp=False, landlock=False, isolation=False)
