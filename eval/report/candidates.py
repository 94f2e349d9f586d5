"""Candidates as the page lists them: rows of its tables, and everything that a candidate's section shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from eval.report.data import Candidate, ReportData
from eval.report.figures import curve_figure
from eval.report.highlight import highlight_python
from eval.report.illustrations import curve_label, curves
from eval.report.ranking import anchors, candidate_f1, ranked_candidates, unscored_reason, winning_members
from eval.statistics.seeds import summarise_seeds

MOST_CURVES = 9


def round_rows(data: ReportData) -> list[dict[str, Any]]:
    known = {entry.number: entry for entry in data.rounds}
    rows = []
    for number in sorted(known.keys() | {candidate.round for candidate in data.candidates}):
        inside = [candidate for candidate in data.candidates if candidate.round == number]
        scored = [c for c in ranked_candidates(data) if c.round == number]
        rows.append(
            {
                "number": number,
                "round": known.get(number),
                "proposed": len(inside),
                "rejected": sum(c.status == "rejected" for c in inside),
                "duplicate": sum(c.status == "duplicate" for c in inside),
                "failed": sum(c.status == "failed" for c in inside),
                "stopped": sum(c.status == "stopped" for c in inside),
                "scored": len(scored),
                "flagged": sum(bool(c.flags) for c in inside),
                "summary": summarise_seeds([candidate_f1(c) for c in scored]) if scored else None,
                "best": scored[0] if scored else None,
            }
        )
    return rows


def candidate_rows(
    data: ReportData, candidates: Sequence[Candidate], members: set[str], first_rank: int | None = None
) -> list[dict[str, Any]]:
    """One row of the table per candidate; ranked from `first_rank` on, or not at all."""
    where = anchors(data)
    return [
        {
            "candidate": candidate,
            "anchor": where[id(candidate)],
            "rank": None if first_rank is None else first_rank + k,
            "scores": candidate.scores if first_rank is not None else None,
            "member": candidate.name in members,
            "reason": None if candidate.status in ("screened", "stopped") else unscored_reason(candidate),
        }
        for k, candidate in enumerate(candidates)
    ]


def flag_rows(data: ReportData) -> list[dict[str, Any]]:
    """Every sign of reward hacking, the best candidates first: there it matters most."""
    where, members = anchors(data), winning_members(data)
    ranked = ranked_candidates(data)
    others = [candidate for candidate in data.candidates if all(candidate is not other for other in ranked)]
    return [
        {
            "candidate": candidate,
            "anchor": where[id(candidate)],
            "flag": flag,
            "scores": candidate.scores if candidate.status == "screened" else None,
            "member": candidate.name in members,
        }
        for candidate in (*ranked, *others)
        for flag in candidate.flags
    ]


def candidate_section(
    data: ReportData, candidate: Candidate, rank: int | None, where: dict[int, str]
) -> dict[str, Any]:
    known = {c.identity: c for c in data.candidates}
    parents = [
        (known[p].name, where[id(known[p])]) if p in known else (data.older.get(p, p[:12]), None)
        for p in candidate.parents
    ]
    children = [(c.name, where[id(c)]) for c in data.candidates if candidate.identity in c.parents]
    drawn = (curve_figure(curve_label(name), steps, values) for name, steps, values in curves(candidate.curves))
    figures: list[Markup] = [figure for figure in drawn if figure is not None]
    return {
        "candidate": candidate,
        "rank": rank,
        "member": candidate.name in winning_members(data),
        "anchor": where[id(candidate)],
        "reason": None if rank is not None else unscored_reason(candidate),
        "code": highlight_python(candidate.code) if candidate.code.strip() else None,
        "curves": figures[:MOST_CURVES],
        "parents": parents,
        "children": children,
    }
