"""What changed in a candidate's source against those that it was made from."""

from __future__ import annotations

import difflib
from typing import Literal, NamedTuple

from eval.report.data import Candidate, ReportData
from eval.report.text import visible

LineKind = Literal["same", "added", "removed", "place"]


class SourceDiff(NamedTuple):
    parent: str
    lines: list[tuple[LineKind, str]]


def source_diffs(data: ReportData, candidate: Candidate) -> list[SourceDiff]:
    """Its source against that of each parent that was proposed in this run, three lines around each change."""
    known = {c.identity: c for c in data.candidates}
    return [
        SourceDiff(known[p].name, _lines(known[p].code, candidate.code))
        for p in candidate.parents
        if p in known and p != candidate.identity and known[p].code.strip() and candidate.code.strip()
    ]


def _lines(before: str, after: str) -> list[tuple[LineKind, str]]:
    first, second = visible(before).splitlines(), visible(after).splitlines()
    kinds: dict[str, LineKind] = {" ": "same", "+": "added", "-": "removed", "@": "place"}
    unified = list(difflib.unified_diff(first, second, lineterm="", n=3))[2:]
    return [(kinds[line[0]], line if line[0] == "@" else line[1:]) for line in unified]
