"""Racing: more training seeds for the candidates of a round that stand first, so that luck names fewer of them."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field


class RaceStage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    share: float = Field(gt=0, le=1)
    """Of the candidates that came to this stage, the first of this share go on, at least one."""
    seeds: int = Field(ge=1)
    """Further seeds over which each of them is screened."""

    def places(self, candidates: int) -> int:
        return min(candidates, max(1, math.floor(candidates * self.share + 1e-9)))


def further_runs(stages: tuple[RaceStage, ...], candidates: int) -> int:
    """Screenings that the stages add to a round of so many candidates, if all can be scored."""
    total = 0
    for stage in stages:
        candidates = stage.places(candidates)
        total += candidates * stage.seeds
    return total
