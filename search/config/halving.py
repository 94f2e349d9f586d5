"""Successive halving: who goes on from a rung to the next (Jamieson and Talwalkar 2016, AISTATS, algorithm 1).

A rung is a number of steps after which every candidate still in training is scored and only a fraction goes on; with
that fraction 1 / eta this is the inner loop of Hyperband (Li et al. 2018, JMLR 18:185, algorithm 1), and its rule is
the one that ASHA (Li et al. 2020, MLSys) applies without waiting. A candidate's score is that of the last rung that it
reached, and says nothing beside the score of another rung.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, field_validator

from rewards_generated.errors import UserError


class Halving(BaseModel):
    """The rungs below the full number of steps, and the share that goes on from each. Without rungs all train to the
    end."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rungs: tuple[int, ...] = ()
    """Steps of a screening after which all candidates of the round still in training are scored, over all seeds, and
    the worst are stopped, in rising order, such as [20]; empty: all train to the end."""
    kept: float = Field(default=0.5, gt=0, lt=1)
    """Share of the candidates at a rung that go on, at least one."""

    @field_validator("rungs")
    @classmethod
    def _rising(cls, rungs: tuple[int, ...]) -> tuple[int, ...]:
        if any(after <= before for before, after in itertools.pairwise((0, *rungs))):
            raise ValueError(f"{list(rungs)} must be numbers of steps from 1 upwards, in rising order")
        return rungs

    def require_below(self, steps: int) -> None:
        """Raises UserError unless every rung lies below the full number of steps."""
        if self.rungs and self.rungs[-1] >= steps:
            raise UserError(
                f"rung {self.rungs[-1]} of screening.halving.rungs is not below the {steps} steps of a screening: "
                "there is nothing left to save; give earlier rungs"
            )

    def survivors(self, scores: Mapping[str, float | None]) -> tuple[str, ...]:
        """Who goes on, best first, of all that came to one rung; of equal ones those that stand earlier.

        floor(n * kept) of n candidates, at least one. What could not be scored counts among the n but never goes on;
        with nothing scored nobody does.
        """
        places = math.floor(len(scores) * self.kept + 1e-9)
        scored = {name: score for name, score in scores.items() if score is not None}
        order = sorted(scored, key=lambda name: -scored[name])
        return tuple(order[: max(1, places)])

    def candidates_at(self, candidates: int) -> tuple[int, ...]:
        """How many train to each rung and, last, to the end, if all can be scored."""
        counts = [candidates]
        for _ in self.rungs:
            counts.append(min(counts[-1], max(1, math.floor(counts[-1] * self.kept + 1e-9))))
        return tuple(counts)

    def step_share(self, candidates: int, steps: int) -> float:
        """Steps trained, of all candidates together, as a share of those of training each of them to the end."""
        self.require_below(steps)
        counts, bounds = self.candidates_at(candidates), (0, *self.rungs, steps)
        spent = sum(count * (bounds[k + 1] - bounds[k]) for k, count in enumerate(counts))
        return spent / (candidates * steps)
