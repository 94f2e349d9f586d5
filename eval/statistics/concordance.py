"""How well a score tells right from wrong, where rollouts of one question hang together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.statistics.estimate import Estimate
from eval.statistics.jackknife import Statistic, group_jackknife, share_interval
from eval.statistics.ranks import average_ranks
from eval.statistics.wilson import wilson_interval

METHOD = "jackknife over questions"


def clustered_auc(
    scores: Sequence[float], right: Sequence[bool], groups: Sequence[Hashable], level: float = 0.95
) -> Estimate | None:
    """The chance that a right rollout scores above a wrong one, ties counting half (Mann-Whitney), for new questions.

    All of shape (N,). The error comes from leaving out one question at a time, which for this statistic agrees with
    that of Obuchowski (1997, Biometrics 53:567-578) as questions grow many. None where there are no right or no
    wrong rollouts, or all of one kind belong to a single question.
    """
    values, labels = _checked(scores, right, groups)

    def area(keep: NDArray[np.bool_]) -> float | None:
        kept = labels[keep]
        positives = int(kept.sum())
        pairs = positives * (kept.size - positives)
        if not pairs:
            return None
        ranks = average_ranks(values[keep])
        return float((ranks[kept].sum() - positives * (positives + 1) / 2) / pairs)

    return _share(area, groups, level)


def within_group_preference(
    scores: Sequence[float], right: Sequence[bool], groups: Sequence[Hashable], level: float = 0.95
) -> Estimate | None:
    """Of the pairs of a right and a wrong rollout to one question, the share that scores the right one higher.

    Ties count half; every pair counts alike, whatever question it is of. `n` counts the questions with such pairs,
    which are what the error is over. None with fewer than two of them.
    """
    values, labels = _checked(scores, right, groups)
    members: dict[Hashable, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    won, pairs = [], []
    for places in members.values():
        rights, wrongs = values[places][labels[places]], values[places][~labels[places]]
        if rights.size and wrongs.size:
            differences = rights[:, None] - wrongs[None, :]
            won.append(float((differences > 0).sum() + 0.5 * (differences == 0).sum()))
            pairs.append(differences.size)
    wins, counts = np.array(won), np.array(pairs)
    return _share(lambda keep: float(wins[keep].sum() / counts[keep].sum()), range(counts.size), level)


def mean_share(shares: Sequence[float], level: float = 0.95) -> Estimate | None:
    """Mean of one share in [0, 1] per question, for new questions. None with fewer than two."""
    values = np.asarray(shares, dtype=np.float64)
    return _share(lambda keep: float(values[keep].mean()), range(values.size), level)


def _share(statistic: Statistic, groups: Sequence[Hashable], level: float) -> Estimate | None:
    error = group_jackknife(statistic, groups)
    if error is None:
        return None
    value = statistic(np.ones(len(groups), dtype=bool))
    assert value is not None
    count = len(set(groups))
    if value <= 1e-12 or value >= 1 - 1e-12:
        # Every question agrees, so nothing varies: what that many alike can say is Wilson's.
        return wilson_interval(round(value) * count, count, level)
    return Estimate(value, *share_interval(value, error, count, level), count, level, METHOD)


def _checked(
    scores: Sequence[float], right: Sequence[bool], groups: Sequence[Hashable]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    values, labels = np.asarray(scores, dtype=np.float64), np.asarray(right, dtype=bool)
    if not values.shape == labels.shape == (len(groups),):
        raise ValueError(f"{values.size} scores, {labels.size} labels and {len(groups)} groups do not belong together")
    if not np.isfinite(values).all():
        raise ValueError("scores must be finite; leave out what could not be scored")
    return values, labels
