"""An ensemble of rewards as data: members, weights and an aggregation, never a closure."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Aggregation = Literal["sum", "zscore", "group_normalised"]


class Member(BaseModel):
    """One reward of an ensemble. `code` is None for a trusted base reward, which is known by its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    code: str | None = None
    weight: float = 1.0
    mean: float | None = None
    """Mean over base-policy rollouts of the train split; needed by `zscore`, frozen when the ensemble is made."""
    std: float | None = None
    """Standard deviation over the same rollouts; needed by `zscore`."""


class Ensemble(BaseModel):
    """A named list of members and how their scores become one number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    members: tuple[Member, ...]
    aggregation: Aggregation = "sum"
