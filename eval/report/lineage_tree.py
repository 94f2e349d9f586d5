"""Who descends from whom, of all candidates: the whole family tree as a list."""

from __future__ import annotations

from typing import NamedTuple

from eval.report.data import Candidate, ReportData


class Branch(NamedTuple):
    depth: int
    """0: made from no candidate of this run."""
    candidate: Candidate
    others: tuple[str, ...]
    """Names of its parents but the one that it stands under."""


def lineage_tree(data: ReportData) -> list[Branch]:
    """Depth first, children in the order of proposal, each candidate once: under its first known parent of an earlier
    round. Empty where nobody descends from anybody."""
    known: dict[str, Candidate] = {}
    for candidate in data.candidates:
        known.setdefault(candidate.identity, candidate)
    above: dict[int, Candidate] = {}
    for c in data.candidates:
        parents = [known[p] for p in c.parents if p in known and known[p].round < c.round]
        if parents:
            above[id(c)] = parents[0]
    if not above:
        return []
    below: dict[int, list[Candidate]] = {}
    for c in data.candidates:
        if id(c) in above:
            below.setdefault(id(above[id(c)]), []).append(c)
    found: list[Branch] = []
    waiting = [(0, c) for c in reversed(data.candidates) if id(c) not in above]
    while waiting:
        depth, c = waiting.pop()
        names = [known[p].name if p in known else data.older.get(p, p[:8]) for p in c.parents]
        under = above.get(id(c))
        found.append(Branch(depth, c, tuple(name for name in names if under is None or name != under.name)))
        waiting += [(depth + 1, child) for child in reversed(below.get(id(c), []))]
    return found
