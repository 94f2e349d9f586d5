"""How strongly and within which limits reward code runs."""

from __future__ import annotations

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
    """Wall-clock limit of one batch; past it the worker is killed and respawned."""
    retry_factor: float = Field(default=2.0, ge=0)
    """Time, as a multiple of batch_seconds, for finding which completion broke a batch that was killed; 0: none."""
    memory_mib: int = Field(default=1024, ge=128)
    """Address-space limit of the worker."""
    recycle_calls: int = Field(default=1000, ge=1)
    """Calls after which `fast` replaces its process by a fresh one."""
    replay_share: float = Field(default=0.01, ge=0, le=1)
    """Share of the batches that `fast` scores again, permuted, in a fresh process; a difference unscores the batch."""
