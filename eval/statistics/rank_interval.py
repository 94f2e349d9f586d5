"""Confidence intervals of true ranks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


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
