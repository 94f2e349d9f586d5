"""How alike two rewards are on the same rollouts: in how they rank them, and in what GRPO would learn from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from eval.statistics.concordance import average_ranks, correlation
from rewards_generated.aggregation import GROUP_EPSILON

Floats = NDArray[np.float64]

LEAST_INFORMATIVE = 30
"""Rollouts outside a reward's most common value, below which its ranks prove nothing: of m rollouts that agree, one in
m / 3 may still differ (rule of three), here one in ten of those that the reward tells apart at all."""


class Similarity(BaseModel):
    """Of one reward with another one, `name`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    rank_correlation: float
    """Spearman's, over the rollouts that both scored; average ranks for ties. -1: the opposite reward."""
    advantage_correlation: float | None
    """Pearson's, of the advantages that each total with the base rewards gives; None where one has none."""
    informative: int
    """Rollouts outside the most common value, of the reward that has fewer."""
    rollouts: int

    def duplicates(self, threshold: float) -> bool:
        """Whether both would train alike: same ranks AND same advantages, on enough rollouts that tell them.

        Ranks alone would reject the same idea at another scale, which weighs differently beside the base rewards;
        advantages alone any two rewards that are small beside them.
        """
        return (
            self.informative >= LEAST_INFORMATIVE
            and self.rank_correlation >= threshold
            and self.advantage_correlation is not None
            and self.advantage_correlation >= threshold
        )


class RewardProfile:
    """One reward's ranks and advantages on rollouts that are the same for every reward."""

    def __init__(
        self,
        name: str,
        scores: Sequence[float | None],
        base: Sequence[float],
        groups: Sequence[str],
        scale: Literal["group", "none"] = "group",
    ) -> None:
        """`scores` (None where unscored), `base` (total of the base rewards) and `groups` have the shape (N,).

        `scale`: whether advantages are divided by the group's standard deviation.
        """
        self.name = name
        self.scored: NDArray[np.bool_] = np.array([score is not None for score in scores], dtype=bool)
        # What differs by rounding alone is a tie, as for the gate.
        self._values = np.round(np.array([score or 0.0 for score in scores], dtype=np.float64), 9)
        self._base, self._groups, self._scale = np.asarray(base, dtype=np.float64), list(groups), scale
        self._whole = self._on(self.scored)

    def similarity(self, other: RewardProfile) -> Similarity | None:
        """Of this reward with another one of the same rollouts; None where either is constant on what both scored."""
        both = self.scored & other.scored
        own, its = (
            profile._whole if np.array_equal(both, profile.scored) else profile._on(both) for profile in (self, other)
        )
        ranked = correlation(own[0], its[0]) if both.any() else None
        if ranked is None:
            return None
        advantage = correlation(own[1], its[1])
        return Similarity(
            name=other.name,
            rank_correlation=round(ranked, 6),
            advantage_correlation=None if advantage is None else round(advantage, 6),
            informative=min(own[2], its[2]),
            rollouts=int(both.sum()),
        )

    def _on(self, rollouts: NDArray[np.bool_]) -> tuple[Floats, Floats, int]:
        """Ranks, advantages, and how many are outside the most common value."""
        values = self._values[rollouts]
        groups = [group for group, kept in zip(self._groups, rollouts, strict=True) if kept]
        most_common = int(np.unique(values, return_counts=True)[1].max()) if values.size else 0
        totals = self._base[rollouts] + values
        return average_ranks(values), advantages(totals, groups, self._scale), values.size - most_common


def closest(own: RewardProfile, earlier: Sequence[RewardProfile], threshold: float | None) -> Similarity | None:
    """The most similar of `earlier`: one that it duplicates before any other, then the largest absolute rank
    correlation; of equal ones the first. None if it can be compared with none."""
    found = [similarity for other in earlier if (similarity := own.similarity(other)) is not None]
    return max(
        found,
        key=lambda item: (threshold is not None and item.duplicates(threshold), abs(item.rank_correlation)),
        default=None,
    )


def advantage_correlation(
    first: Sequence[float | None],
    second: Sequence[float | None],
    groups: Sequence[str],
    scale: Literal["group", "none"] = "group",
) -> float | None:
    """Pearson's, of the advantages of two rows of totals over the rollouts that both scored; all of shape (N,).

    None where either gives no advantage at all.
    """
    both = [(a, b, group) for a, b, group in zip(first, second, groups, strict=True) if a is not None and b is not None]
    if not both:
        return None
    kept = [group for _, _, group in both]
    # What differs by rounding alone is a tie here too.
    own: Floats = np.array([round(a, 9) for a, _, _ in both], dtype=np.float64)
    its: Floats = np.array([round(b, 9) for _, b, _ in both], dtype=np.float64)
    return correlation(advantages(own, kept, scale), advantages(its, kept, scale))


def advantages(totals: Floats, groups: Sequence[str], scale: Literal["group", "none"] = "group") -> Floats:
    """Group-relative advantages, shape (N,): total minus its group's mean, over (standard deviation + 1e-4) as TRL
    does (Shao et al. 2024, arXiv 2402.03300, section 4.1.2), or undivided."""
    places = {group: k for k, group in enumerate(dict.fromkeys(groups))}
    index = np.array([places[group] for group in groups], dtype=np.intp)
    sizes = np.bincount(index)
    centred: Floats = totals - (np.bincount(index, totals) / sizes)[index]
    if scale == "none":
        return centred
    deviations = np.sqrt(np.bincount(index, centred**2) / np.maximum(sizes - 1, 1))
    scaled: Floats = centred / (deviations[index] + GROUP_EPSILON)
    return scaled
