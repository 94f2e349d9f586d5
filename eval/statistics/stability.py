"""How a ranking would have come out on other questions and seeds, and intervals of the true ranks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eval.statistics.bootstrap import RESAMPLES
from eval.statistics.estimate import require_level
from eval.statistics.runs import RunTable, resampled_counts, run_table


class RankSpread(NamedTuple):
    """One entry's rank, 1 the best, equal ones sharing the average of their places."""

    rank: float
    low: float
    high: float
    """Bounds of the middle ranks over resamples. They describe the ranking and are no confidence interval of the true
    rank: for that see `rank_intervals`."""
    first: float
    """Share of resamples in which it leads; equal leaders share one."""


class RankStability(NamedTuple):
    entries: dict[str, RankSpread]
    agreement: float | None
    """Mean Spearman correlation of the rankings by two random halves of the questions, and where there are several
    seeds by different runs: about 0 where the order is chance. Halves rank less well than the whole, so the whole
    agrees with a repetition at least this well. None where there is no order to agree with."""


HALVINGS = 1_000


def rank_stability(
    correct: Mapping[str, ArrayLike], level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> RankStability:
    """Ranks by accuracy over resampled questions, shared by all entries, and where there are several the resampled
    seeds of each; `correct` per entry of shape (N,) or (seeds, N).

    The bootstrap of a ranking of Goldstein and Spiegelhalter (1996, JRSS A 159:385-443) and Hall and Miller (2009,
    Ann. Statist. 37:3929-3959). Raises ValueError as `run_table` does.
    """
    from scipy.stats import rankdata

    require_level(level)
    table = run_table(correct)
    generator = np.random.default_rng(seed)
    drawn = []
    for counts in resampled_counts(table.correct.shape[1], resamples, generator):
        scores = counts @ table.correct.T
        if table.seeds.max() > 1:
            scores = scores * np.concatenate(
                [generator.multinomial(s, np.full(s, 1 / s), size=len(counts)) for s in table.seeds], axis=1
            )
        # Sums of whole numbers, rounded so that equal scores stay equal.
        drawn.append(rankdata(-np.round(table.by_entry(scores), 6), axis=1))
    ranks = np.concatenate(drawn)
    low, high = np.quantile(ranks, [(1 - level) / 2, (1 + level) / 2], axis=0)
    leads = ranks == ranks.min(axis=1, keepdims=True)
    first = (leads / leads.sum(axis=1, keepdims=True)).mean(axis=0)
    observed = rankdata(-np.round(table.accuracy, 12))
    return RankStability(
        {
            name: RankSpread(float(observed[k]), float(low[k]), float(high[k]), float(first[k]))
            for k, name in enumerate(table.names)
        },
        _agreement(table, generator),
    )


def _agreement(table: RunTable, generator: np.random.Generator) -> float | None:
    from scipy.stats import rankdata

    entries, questions = len(table.names), table.correct.shape[1]
    half = (generator.random((HALVINGS, questions)).argsort(axis=1) < questions // 2).astype(np.float64)
    one, other = half @ table.correct.T, (1 - half) @ table.correct.T
    if table.seeds.min() > 1:
        # Half of the runs of each entry on this side, the others on that.
        order = rankdata(table.owner + generator.random((HALVINGS, len(table.owner))), axis=1) - 1
        place = order - np.searchsorted(table.owner, np.arange(entries))[table.owner]
        here = place < (table.seeds // 2)[table.owner]
        one, other = np.where(here, one, 0.0), np.where(here, 0.0, other)
        shares = table.by_entry(here.astype(np.float64))
        first, second = table.by_entry(one) / shares, table.by_entry(other) / (1 - shares)
    else:
        first, second = table.by_entry(one), table.by_entry(other)
    x, y = (rankdata(np.round(scores, 6), axis=1) - (entries + 1) / 2 for scores in (first, second))
    size = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    known = size > 0
    return float(((x * y).sum(axis=1)[known] / size[known]).mean()) if known.any() else None


class RankInterval(NamedTuple):
    """Places, 1 the best, within which an entry's true rank lies."""

    low: int
    high: int


class OrderedPair(NamedTuple):
    """A tested pair: the difference of the first from the second and its two-sided p-value, uncorrected."""

    first: str
    second: str
    difference: float
    p_value: float


def rank_intervals(names: Sequence[str], pairs: Iterable[OrderedPair], level: float = 0.95) -> dict[str, RankInterval]:
    """Intervals of the true ranks of all entries that hold together with probability at least `level`.

    An entry is behind those shown better than it and ahead of those shown worse; what is shown is decided for all
    pairs at once by Bonferroni's correction (Al Mohamad, Goeman and van Zwet 2022, Biometrics 78:238-247, with
    Bonferroni's bound in the place of Tukey's). Pairs that were not tested count as not shown. Raises ValueError where
    a pair names an entry that is not ranked.
    """
    tested = list(pairs)
    ahead, behind = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for pair in tested:
        if pair.first not in ahead or pair.second not in ahead:
            raise ValueError(f"{pair.first!r} and {pair.second!r} are not both among the entries ranked")
        if pair.difference != 0 and pair.p_value * len(tested) <= 1 - level:
            better, worse = (pair.first, pair.second) if pair.difference > 0 else (pair.second, pair.first)
            ahead[worse] += 1
            behind[better] += 1
    return {name: RankInterval(1 + ahead[name], len(names) - behind[name]) for name in names}
