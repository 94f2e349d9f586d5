"""How the scores of an ensemble's members become one number per completion.

`sum`: the weighted sum of the raw scores. `zscore`: each score is first standardised by the member's mean and
standard deviation over base-policy rollouts, frozen when the ensemble was made. `group_normalised`: each member is
standardised within its group of completions before summing (GDPO, arXiv 2601.05242), to the digit as TRL's
`multi_objective_aggregation="normalize_then_sum"` does it: sample standard deviation (n - 1) plus 1e-4, over the
scored completions of the group; the normalisation of the sum over the batch, which follows there, is the trainer's.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from rewards_generated.ensemble import Ensemble, Member

GROUP_EPSILON = 1e-4
"""Added to a group's standard deviation, as in TRL."""


def totals(
    ensemble: Ensemble,
    components: Sequence[Sequence[float | None]],
    groups: Sequence[Hashable] | None = None,
    progress: float = 0.0,
) -> list[float | None]:
    """One total per completion, shape (n,), from one row of scores per member, shape (members, n).

    None where any member has no score. `groups`, shape (n,): equal for completions of one prompt; needed by
    `group_normalised`. `progress`: share of a run's steps that are done, which decides weights with a schedule. Raises
    ValueError where shapes differ or groups are missing.
    """
    if len(components) != len(ensemble.members):
        raise ValueError(f"{len(components)} rows of scores for {len(ensemble.members)} members")
    count = len(components[0])
    if any(len(row) != count for row in components):
        raise ValueError("the members' rows of scores differ in length")
    if ensemble.aggregation == "group_normalised":
        if groups is None or len(groups) != count:
            raise ValueError("group_normalised needs the group of every completion")
        rows = [group_normalise(row, groups) for row in components]
    elif ensemble.aggregation == "zscore":
        rows = [standardise(row, member) for row, member in zip(components, ensemble.members, strict=True)]
    else:
        rows = [list(row) for row in components]
    weights = [member.weight_at(progress) for member in ensemble.members]
    return [_weighted(column, weights) for column in zip(*rows, strict=True)]


def standardise(scores: Sequence[float | None], member: Member) -> list[float | None]:
    """(score - mean) / std with the member's frozen statistics.

    A member that was constant over the base rollouts (std 0) has no scale: it is only centred.
    """
    if member.mean is None or member.std is None:
        raise ValueError(f"member {member.name} has no frozen mean and std, which zscore needs")
    scale = member.std if member.std > 1e-9 else 1.0
    return [None if score is None else (score - member.mean) / scale for score in scores]


def group_normalise(scores: Sequence[float | None], groups: Sequence[Hashable]) -> list[float | None]:
    """(score - group mean) / (group std + 1e-4), over the scored completions of each group.

    A group with a single scored completion has no spread to go by: it gets 0, as in TRL.
    """
    by_group: dict[Hashable, list[float]] = {}
    for score, group in zip(scores, groups, strict=True):
        if score is not None:
            by_group.setdefault(group, []).append(score)
    statistics = {group: _mean_and_std(values) for group, values in by_group.items()}
    normalised: list[float | None] = []
    for score, group in zip(scores, groups, strict=True):
        if score is None:
            normalised.append(None)
            continue
        mean, std = statistics[group]
        normalised.append(0.0 if std is None else (score - mean) / (std + GROUP_EPSILON))
    return normalised


def _mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _weighted(column: Sequence[float | None], weights: Sequence[float]) -> float | None:
    if any(score is None for score in column):
        return None
    return math.fsum(score * weight for score, weight in zip(column, weights, strict=True) if score is not None)
