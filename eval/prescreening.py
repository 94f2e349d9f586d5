"""What rollouts of the untrained base policy say of a reward, before anything is trained on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import comb

from pydantic import BaseModel, ConfigDict

from eval.similarity import Similarity
from eval.statistics.concordance import clustered_auc, clustered_spearman, mean_share, within_group_preference
from eval.statistics.estimate import Estimate
from rewards_generated.rollout import Rollout


class PreScreening(BaseModel):
    """Figures of one candidate on rollouts of the base policy. None: undefined there, never 0.

    Intervals are over questions, since rollouts of one question hang together; their `n` counts questions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rollouts: int
    """Those that could be scored."""
    unscored: int
    """Those on which the candidate failed."""
    auc: Estimate | None
    """The chance that a right rollout scores above a wrong one, of whatever questions."""
    preference: Estimate | None
    """The same among rollouts of one question, which is all that GRPO compares."""
    group_size: int
    """Completions in a group for the shares below: as many as training samples, if there are so many."""
    spread: Estimate | None
    """Share of groups in which the candidate's values differ: the others teach nothing of it."""
    total_spread: Estimate | None
    """Share of groups in which the total with the base rewards differs."""
    base_spread: Estimate | None
    """The same without the candidate."""
    length: Estimate | None
    """Spearman's correlation with the completion's length in characters."""
    firing: Estimate | None = None
    """Share of a question's rollouts that get another value than 0."""
    closest: Similarity | None = None
    """The most similar of the candidates before it; None: there is none, or the candidate is constant."""
    duplicate: bool = False
    """It would train like `closest`, so it is not trained."""

    @property
    def reason(self) -> str | None:
        """Why it is not trained, in words that a proposer can act on."""
        if not self.duplicate or self.closest is None:
            return None
        other = self.closest
        return (
            f"near-duplicate: on {other.rollouts} completions of the base policy it ranks them like {other.name!r} "
            f"(rank correlation {other.rank_correlation:.4f}) and gives GRPO the same advantages (correlation "
            f"{other.advantage_correlation:.4f}), so it would train alike and was not trained: reward something that "
            f"{other.name!r} does not see, not the same with other constants"
        )


def prescreening(
    rollouts: Sequence[Rollout], scores: Sequence[float | None], base: Sequence[float], generations: int
) -> PreScreening:
    """The figures, without any comparison with other candidates.

    `scores` of the candidate and `base`, the total of the base rewards, have the shape of `rollouts`. `generations`:
    completions per group in training.
    """
    scored = [
        (item, score, total) for item, score, total in zip(rollouts, scores, base, strict=True) if score is not None
    ]
    values = [round(score, 9) for _, score, _ in scored]
    right = [item.correct for item, _, _ in scored]
    groups = [item.group for item, _, _ in scored]
    size = min(generations, max(Counter(groups).values(), default=1))
    return PreScreening(
        rollouts=len(scored),
        unscored=len(rollouts) - len(scored),
        auc=clustered_auc(values, right, groups),
        preference=within_group_preference(values, right, groups),
        group_size=size,
        spread=_spread(values, groups, size),
        total_spread=_spread([score + total for _, score, total in scored], groups, size),
        base_spread=_spread([total for _, _, total in scored], groups, size),
        length=clustered_spearman(values, [float(len(item.completion)) for item, _, _ in scored], groups),
        firing=_firing(values, groups),
    )


def _firing(values: Sequence[float], groups: Sequence[str]) -> Estimate | None:
    by_group: dict[str, list[bool]] = {}
    for value, group in zip(values, groups, strict=True):
        by_group.setdefault(group, []).append(value != 0)
    return mean_share([sum(found) / len(found) for found in by_group.values()])


def _spread(values: Sequence[float], groups: Sequence[str], size: int) -> Estimate | None:
    """Share of groups of `size` completions with more than one value, over questions with at least so many.

    Of n completions of a question every choice of `size` is such a group, so the share of a question is
    1 - sum over values v of C(n_v, size) / C(n, size): unbiased, and without drawing any.
    """
    counts: dict[str, Counter[float]] = {}
    for value, group in zip(values, groups, strict=True):
        counts.setdefault(group, Counter())[round(value, 9)] += 1
    if size < 2:
        return None
    return mean_share(
        [
            1 - sum(comb(count, size) for count in found.values()) / comb(found.total(), size)
            for found in counts.values()
            if found.total() >= size
        ]
    )
