"""How strongly and within which limits reward code runs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SandboxSettings(BaseModel):
    """Limits of one worker process; each worker runs one reward function."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["default", "fast"] = "default"
    """`default` forks a fresh process per batch, so that no state survives; `fast` keeps one sealed process."""
    require: Literal["strict", "standard", "basic"] = "standard"
    """The weakest level that is accepted on this machine; below it, nothing runs."""
    batch_seconds: float = Field(default=10.0, gt=0)
    """Wall-clock limit of one batch; past it the worker is killed and respawned."""
    memory_mib: int = Field(default=1024, ge=128)
    """Address-space limit of the worker."""
