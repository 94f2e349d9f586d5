"""How the weight of a reward changes over a training run, by the share of its steps that are done."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Schedule(BaseModel):
    """From a weight at the start of the run to another one, in a straight line or at once; without one it is constant.

    The weight of a step follows from steps done / steps of the run alone, so an interrupted run goes on with it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["linear", "switch"]
    to: float
    """The weight at the end of the run."""
    at: float | None = None
    """Of a switch: share of the run's steps after which the weight is `to`."""

    def problem(self, start: float) -> str | None:
        """What is wrong with it beside that weight at the start, for a sentence; None if nothing is."""
        if not math.isfinite(self.to):
            return f"schedule.to is {self.to}; it must be a finite number"
        if self.to == start:
            return f"its schedule goes from {start:g} to {self.to:g}; leave `schedule` out"
        if self.kind == "switch" and self.at is None:
            return "schedule.at is missing; a switch needs the share of the run's steps after which it is made"
        if self.at is not None and not 0 < self.at < 1:
            return f"schedule.at is {self.at:g}; it must be a share of the run's steps between 0 and 1"
        if self.kind == "linear" and self.at is not None:
            return f"schedule.at is {self.at:g}, which only a switch has; leave it out or set schedule.kind to 'switch'"
        return None

    def weight(self, start: float, progress: float) -> float:
        """`start`: the weight at the start. `progress`: steps done / steps of the run, 0 to 1."""
        if self.at is not None:
            return self.to if progress >= self.at else start
        return start + (self.to - start) * progress

    def mean_weight(self, start: float) -> float:
        """Over the whole run."""
        share = 0.5 if self.at is None else self.at
        return share * start + (1 - share) * self.to

    def words(self) -> str:
        """What follows the weight at the start, such as `to 0 over the run`."""
        return f"to {self.to:g} over the run" if self.at is None else f"to {self.to:g} after {self.at:.0%} of the steps"
