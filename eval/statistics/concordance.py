"""How well a score tells right from wrong or agrees with another, where rollouts of one question hang together;
and what share of questions is answered rightly, or in k attempts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.statistics.estimate import Estimate, Interval, half_t, wilson_interval

METHOD = "jackknife over questions"

Keep = NDArray[np.bool_]
Statistic = Callable[[Keep], float | None]
"""Units to count, shape (N,) → the figure of those; None where it is undefined."""


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


def clustered_spearman(
    first: Sequence[float], second: Sequence[float], groups: Sequence[Hashable], level: float = 0.95
) -> Estimate | None:
    """Spearman's rank correlation over units that come in groups, for new groups; all of shape (N,).

    Ties share their average rank. The error is a jackknife over groups, the interval on Fisher's z; at 1 or -1 it is
    Bonett and Wright's for as many units as there are groups. `n` counts groups. None where either side is constant,
    also without any one group, or with fewer than four groups.
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)

    def kept(keep: NDArray[np.bool_]) -> float | None:
        return correlation(average_ranks(x[keep]), average_ranks(y[keep]))

    count = len(set(groups))
    r = kept(np.ones(x.size, dtype=bool)) if x.size else None
    if r is None or count < 4:
        return None
    if abs(r) > 1 - 1e-12:
        return _perfect(round(r), count, level)
    error = group_jackknife(kept, groups)
    if error is None:
        return None
    return Estimate(r, *correlation_interval(r, error, count, level), count, level, METHOD)


def mean_share(shares: Sequence[float], level: float = 0.95) -> Estimate | None:
    """Mean of one share in [0, 1] per question, for new questions. None with fewer than two."""
    values = np.asarray(shares, dtype=np.float64)
    return _share(lambda keep: float(values[keep].mean()), range(values.size), level)


def pass_at_k(right: Sequence[int], samples: Sequence[int], k: int, level: float = 0.95) -> Estimate | None:
    """Mean over questions of the unbiased estimator 1 - C(n - c, k) / C(n, k) (Chen et al. 2021, arXiv 2107.03374,
    eq. 1), with an interval for new questions.

    `right`: c of each question, `samples`: n of each. None with fewer than two questions. Raises ValueError where a
    question has fewer than k samples or more right ones than samples.
    """
    return mean_share(question_pass_at_k(right, samples, k).tolist(), level)


def question_pass_at_k(right: Sequence[int], samples: Sequence[int], k: int) -> NDArray[np.float64]:
    """The estimator of each question, shape (N,)."""
    c, n = np.asarray(right, dtype=np.int64), np.asarray(samples, dtype=np.int64)
    if c.shape != n.shape or c.ndim != 1:
        raise ValueError(f"{c.size} counts of right answers and {n.size} of samples do not belong together")
    if k < 1 or (n < k).any():
        raise ValueError(f"k = {k} must be at least 1 and at most the number of samples of every question")
    if ((c < 0) | (c > n)).any():
        raise ValueError("a question cannot have fewer than 0 or more right answers than samples")
    # C(n - c, k) / C(n, k) as a product of k factors; where n - c < k one of them is 0.
    none_right = np.ones(c.shape)
    for drawn in range(k):
        none_right *= np.maximum(n - c - drawn, 0) / (n - drawn)
    return 1 - none_right


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


def _perfect(sign: int, n: int, level: float) -> Estimate:
    from scipy.special import ndtri

    one_swap = 1 - 12 / (n * (n**2 - 1))
    half = float(ndtri((1 + level) / 2)) * ((1 + one_swap**2 / 2) / (n - 3)) ** 0.5
    far = sign * float(np.tanh(np.arctanh(one_swap) - half))
    return Estimate(float(sign), min(far, float(sign)), max(far, float(sign)), n, level, "Bonett-Wright")


def group_jackknife(statistic: Statistic, groups: Sequence[Hashable]) -> float | None:
    """Standard error of `statistic` over groups, each left out once (Efron and Tibshirani 1993, eq. 11.5).

    `groups`, shape (N,): equal for units that hang together. None with fewer than two groups, or where the figure
    is undefined without one of them: it rests on that group alone then.
    """
    names = list(dict.fromkeys(groups))
    if len(names) < 2:
        return None
    place = {name: k for k, name in enumerate(names)}
    member = np.array([place[group] for group in groups])
    found = [statistic(member != k) for k in range(len(names))]
    known = np.array([value for value in found if value is not None], dtype=np.float64)
    if known.size < len(names):
        return None
    return float(np.sqrt((len(names) - 1) * known.var()))


def share_interval(value: float, error: float, groups: int, level: float = 0.95) -> Interval:
    """Student's t over groups on the logit of a share 0 < value < 1, so that the bounds stay within (0, 1)."""
    centre = np.log(value / (1 - value))
    half = half_t(error, groups - 1, level) / (value * (1 - value))
    return Interval(*(float(1 / (1 + np.exp(-bound))) for bound in (centre - half, centre + half)))


def correlation_interval(value: float, error: float, groups: int, level: float = 0.95) -> Interval:
    """The same on Fisher's z of a correlation -1 < value < 1."""
    centre, half = np.arctanh(value), half_t(error, groups - 1, level) / (1 - value**2)
    return Interval(float(np.tanh(centre - half)), float(np.tanh(centre + half)))


def average_ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1 of `values`, shape (N,); ties share the average of their places. Fast enough to be taken once per
    left-out question."""
    _, place, counts = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    averages = np.cumsum(counts) - (counts - 1) / 2
    ranks: NDArray[np.float64] = averages[place]
    return ranks


def correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Pearson's, which of ranks is Spearman's; both of shape (N,). None where either is constant or overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        a, b = x - x.mean(), y - y.mean()
        spread, size = float(np.sqrt((a @ a) * (b @ b))), float(np.sqrt((x @ x) * (y @ y)))
    if not np.isfinite(spread) or spread <= 1e-12 * max(1.0, size):
        return None
    return float(np.clip((a @ b) / spread, -1, 1))
