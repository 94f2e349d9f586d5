"""Rounds and candidates as the page shows them: rows of its tables, and what a candidate's section holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from eval.report.data import Candidate, MemberWeight, ReportData
from eval.report.figures.figure import padded_domain
from eval.report.figures.training import curve_figure
from eval.report.figures.weights import weight_figure, weight_points
from eval.report.illustrations import curve_label, curves
from eval.report.ranking import (
    anchors,
    candidate_f1,
    ranked_candidates,
    shared_ranks,
    stopped_candidates,
    unscored_candidates,
    unscored_reason,
    winning_members,
)
from eval.report.source_diff import source_diffs
from eval.report.text import visible
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
                "candidates": inside,
                "counts": Counter(candidate.status for candidate in inside),
                "scored": scored,
                "summary": summarise_seeds([candidate_f1(c) for c in scored]) if scored else None,
            }
        )
    return rows


def candidate_groups(data: ReportData) -> dict[str, list[dict[str, Any]]]:
    """What is shown of every candidate, ranked ones apart from those stopped early and those without a score."""
    ranked = ranked_candidates(data)
    ranks = shared_ranks(candidate.scores for candidate in ranked)
    where, members = anchors(data), winning_members(data)
    known = {candidate.identity: candidate for candidate in data.candidates}

    def shown(candidate: Candidate, rank: int | None = None) -> dict[str, Any]:
        drawn = [curve_figure(curve_label(name), steps, values) for name, steps, values in curves(candidate.curves)]
        return {
            "candidate": candidate,
            "anchor": where[id(candidate)],
            "rank": rank,
            "scores": None if rank is None else candidate.scores,
            "member": candidate.name in members,
            "reason": None if rank is not None else unscored_reason(candidate),
            "code": highlight_python(candidate.code) if candidate.code.strip() else None,
            "diffs": source_diffs(data, candidate),
            "weights": weight_figures(candidate.weights),
            "curves": [figure for figure in drawn if figure is not None][:MOST_CURVES],
            "parents": [
                (known[p].name, where[id(known[p])]) if p in known else (data.older.get(p, p[:12]), None)
                for p in candidate.parents
            ],
            "children": [(c.name, where[id(c)]) for c in data.candidates if candidate.identity in c.parents],
        }

    return {
        "scored": [shown(candidate, rank) for rank, candidate in zip(ranks, ranked, strict=True)],
        "stopped": [shown(candidate) for candidate in stopped_candidates(data)],
        "unscored": [shown(candidate) for candidate in unscored_candidates(data)],
    }


def weight_figures(weights: Sequence[MemberWeight]) -> list[Markup]:
    """One per member, all on the same axis."""
    values = [value for member in weights for _, value in weight_points(member)]
    return [weight_figure(member, padded_domain([0.0, *values])) for member in weights]


def highlight_python(code: str) -> Markup:
    """Spans with Pygments' short class names, everything escaped; the style sheet colours the few that matter."""
    from pygments import highlight  # type: ignore[import-untyped]
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
    from pygments.lexers import PythonLexer  # type: ignore[import-untyped]

    # Pygments escapes everything that it puts between its spans.
    return Markup(highlight(visible(code).rstrip() + "\n", PythonLexer(), HtmlFormatter(nowrap=True)))
