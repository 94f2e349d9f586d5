"""Which candidates are so alike that a prompt learns nothing from the source of the second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from eval.statistics.concordance import average_ranks
from search.ledger import Candidate

ALIKE = 0.9
"""Absolute rank correlation on the base policy's rollouts from which two rewards say the same or the opposite."""


def alike(candidates: Sequence[Candidate], scores: Mapping[str, Sequence[float | None]]) -> dict[str, frozenset[str]]:
    """By candidate the names of those that it is alike: by the ranks of their scores on the base policy's rollouts, and
    where one of two has none, by one being made from the other.

    A rollout that a reward could not score counts as one of middling rank.
    """
    known = [candidate.name for candidate in candidates if _varied(scores.get(candidate.name, ()))]
    found: dict[str, set[str]] = {candidate.name: set() for candidate in candidates}
    if len(known) > 1:
        ranks = np.array([_ranks(scores[name]) for name in known])
        for first, second in np.argwhere(np.abs(np.corrcoef(ranks)) >= ALIKE):
            found[known[first]].add(known[second])
    by_identity = {candidate.identity: candidate.name for candidate in candidates if candidate.identity}
    for candidate in candidates:
        for parent in (by_identity[identity] for identity in candidate.parents if identity in by_identity):
            if candidate.name not in known or parent not in known:
                found[candidate.name].add(parent)
                found[parent].add(candidate.name)
    return {name: frozenset(others - {name}) for name, others in found.items()}


def _varied(scores: Sequence[float | None]) -> bool:
    return len({round(score, 9) for score in scores if score is not None}) > 1


def _ranks(scores: Sequence[float | None]) -> list[float]:
    places = [place for place, score in enumerate(scores) if score is not None]
    ranks = average_ranks(np.round(np.array([scores[place] for place in places], dtype=np.float64), 9))
    whole = np.full(len(scores), float(np.mean(ranks)))
    whole[places] = ranks
    return list(whole)
