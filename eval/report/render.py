"""Makes the report: one HTML file that needs no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from eval.report import text
from eval.report.data import Candidate, Entry, PairwiseTest, ReportData
from eval.report.figures import (
    Level,
    RoundMean,
    RoundPoint,
    SplitPoint,
    curve_figure,
    forest_axis,
    forest_bar,
    forest_domain,
    rounds_figure,
    splits_figure,
)
from eval.report.highlight import highlight_python
from eval.report.leaderboard import format_leaderboard, rank_entries
from eval.report.summary import (
    BASE_REWARDS_ONLY,
    candidate_f1,
    caveats,
    control,
    evidence_words,
    headline,
    methods,
    ranked_candidates,
    ranking_evidence,
    stopped_candidates,
    unscored_candidates,
    unscored_reason,
    winner,
)
from eval.statistics.seeds import summarise_seeds

MOST_CURVES = 9
_CURVE_ORDER = ("accuracy", "reward", "extraction", "completion", "firing", "entropy", "kl", "loss", "grad", "learning")


def render(data: ReportData) -> str:
    """The whole report as one HTML document, with style, script and figures inside it.

    Everything that comes from proposers, policies and file names is escaped, control characters are made visible,
    and the page's content policy lets no script run but its own.
    """
    script = _resource("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    anchors = {id(candidate): f"candidate-{k}" for k, candidate in enumerate(data.candidates, start=1)}
    ranked = ranked_candidates(data)
    html: str = _template().render(
        data=data,
        run=data.run,
        style=Markup(_resource("report.css")),
        script=Markup(script),
        script_digest=digest,
        headline=headline(data),
        caveats=[*caveats(data), *data.notes],
        methods=methods(data),
        overview=_overview(data),
        leaderboard=_leaderboard(data),
        rounds=_rounds(data),
        round_figures=_round_figures(data, anchors),
        split_figure=_split_figure(data),
        drops=[entry for entry in data.entries if entry.validation_minus_test and entry.test],
        pairwise=_pairwise(data),
        evidence=ranking_evidence(data),
        evidence_words=evidence_words,
        candidates=[_candidate(data, c, k, anchors) for k, c in enumerate(ranked, start=1)],
        stopped=[_candidate(data, c, None, anchors) for c in stopped_candidates(data)],
        unscored=[_candidate(data, c, None, anchors) for c in unscored_candidates(data)],
        markdown=format_leaderboard(data.entries, "md", data.run.selection_split) if data.entries else "",
        text=text,
    )
    # Half surrogates can stand in text that came as JSON; they cannot be written as UTF-8.
    return html.encode("utf-8", "replace").decode("utf-8")


@cache
def _resource(name: str) -> str:
    return files("eval.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["visible"] = text.visible
    return environment.from_string(_resource("report.html.j2"))


def _overview(data: ReportData) -> list[tuple[str, str]]:
    run = data.run
    scored = len(ranked_candidates(data))
    facts = [
        ("Candidates", f"{len(data.candidates)}, of which {scored} scored"),
        ("Task", run.task),
        ("Base policy", run.base_model),
        ("Proposer", run.proposer or ""),
        ("Work, jobs added up", text.duration(sum(run.seconds.values())) if run.seconds else ""),
        ("Language-model cost", text.money(run.cost_usd) if run.llm_calls else ""),
        ("Language-model calls", f"{run.llm_calls:,}" if run.llm_calls else ""),
        ("Seed", "" if run.seed is None else str(run.seed)),
        ("Started", text.moment(run.started) if run.started else ""),
        ("Config", (run.config_digest or "")[:12]),
    ]
    return [(name, value) for name, value in facts if value]


def _leaderboard(data: ReportData) -> dict[str, Any] | None:
    if not data.entries:
        return None
    split = data.run.selection_split
    ranking = rank_entries(data.entries, split)
    lines = [(str(rank), entry) for rank, entry in ranking.ranked] + [(text.DASH, entry) for entry in ranking.apart]
    opened = any(entry.test for _, entry in lines)
    shown = "test" if opened else "validation"
    domain = forest_domain([s.f1 for _, e in lines if (s := getattr(e, shown))])
    base = control(data.entries, BASE_REWARDS_ONLY)
    reference = s.f1.value if base is not None and (s := getattr(base, shown)) else None
    rows = []
    for rank, entry in lines:
        scores = getattr(entry, shown)
        kind = _kind(entry)
        bar = forest_bar(scores.f1, domain, reference, kind) if scores and domain else ""
        first_apart = bool(ranking.apart) and entry is ranking.apart[0]
        rows.append(
            {"rank": rank, "entry": entry, "kind": kind, "scores": scores, "bar": bar, "first_apart": first_apart}
        )
    return {
        "rows": rows,
        "unscored": ranking.unscored,
        "shown": shown,
        "axis": forest_axis(domain) if domain else "",
        "reference": reference,
        "split": split,
    }


def _kind(entry: Entry) -> str:
    return "winner" if entry.winner else "control" if entry.kind == "control" else "other"


def _rounds(data: ReportData) -> list[dict[str, Any]]:
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
                "scored": len(scored),
                "flagged": sum(bool(c.flags) for c in inside),
                "summary": summarise_seeds([candidate_f1(c) for c in scored]) if scored else None,
                "best": scored[0] if scored else None,
            }
        )
    return rows


def _round_figures(data: ReportData, anchors: dict[int, str]) -> list[Markup]:
    """Wide and narrow drawings of the same figure; the style sheet shows the one that fits."""
    best = winner(data)
    members = set(best.members) if best else set()
    points = [
        RoundPoint(
            c.round, text.visible(c.name), anchors[id(c)], c.scores.f1, c.name in members or c.identity in members
        )
        for c in ranked_candidates(data)
        if c.scores is not None
    ]
    means, unscored = [], {}
    for row in _rounds(data):
        unscored[row["number"]] = row["proposed"] - row["scored"]
        if summary := row["summary"]:
            low, high = summary.interval or (None, None)
            means.append(RoundMean(row["number"], summary.mean, low, high))
    levels = [
        Level(text.visible(entry.name), scores.f1.value)
        for entry in data.baselines
        if entry.failure is None and (scores := getattr(entry, data.run.selection_split))
    ]
    rounds = sorted(unscored)
    drawn = [rounds_figure(rounds, points, means, levels, unscored, width) for width in (1000, 350)]
    return [figure for figure in drawn if figure is not None]


def _split_figure(data: ReportData) -> Markup | None:
    ranking = rank_entries(data.entries, data.run.selection_split)
    points = [
        SplitPoint(str(rank), f"{rank}. {text.visible(e.name)}", e.validation.f1, e.test.f1, _kind(e))
        for rank, e in ranking.ranked
        if e.validation and e.test
    ]
    return splits_figure(points) if len(points) > 1 else None


def _pairwise(data: ReportData) -> dict[str, Any] | None:
    table = data.pairwise
    if table is None or not table.tests:
        return None
    order = [entry.name for _, entry in rank_entries(data.entries, data.run.selection_split).ranked]
    named = {name for test in table.tests for name in (test.first, test.second)}
    names = [name for name in order if name in named]
    names += sorted(named - set(names))
    by_pair: dict[tuple[str, str], PairwiseTest] = {(test.first, test.second): test for test in table.tests}
    matrix = []
    for first in names:
        cells: list[dict[str, Any] | None] = []
        for second in names:
            test = by_pair.get((first, second)) or by_pair.get((second, first))
            if test is None:
                cells.append(None)
                continue
            sign = 1 if test.first == first else -1
            cells.append(_matrix_cell(test, sign, table.level))
        matrix.append({"name": first, "cells": cells})
    significant = sum(test.holm <= table.level for test in table.tests)
    equivalent = sum(test.equivalence_p is not None and test.equivalence_p <= table.level for test in table.tests)
    return {
        "table": table,
        "names": names,
        "matrix": matrix,
        "significant": significant,
        "equivalent": equivalent,
        "over_seeds": any(test.seeds_difference for test in table.tests),
    }


def _matrix_cell(test: PairwiseTest, sign: int, level: float) -> dict[str, Any]:
    different = test.holm <= level
    same = test.equivalence_p is not None and test.equivalence_p <= level
    value = sign * test.difference.value
    mood = ("better" if value > 0 else "worse") if different else "same" if same else "open"
    return {"value": text.signed_points(value), "mood": mood, "holm": text.p_value(test.holm)}


def _candidate(data: ReportData, candidate: Candidate, rank: int | None, anchors: dict[int, str]) -> dict[str, Any]:
    known = {c.identity: c for c in data.candidates}
    parents = [(known[p].name, anchors[id(known[p])]) if p in known else (p[:12], None) for p in candidate.parents]
    children = [(c.name, anchors[id(c)]) for c in data.candidates if candidate.identity in c.parents]
    return {
        "candidate": candidate,
        "rank": rank,
        "anchor": anchors[id(candidate)],
        "reason": None if rank is not None else unscored_reason(candidate),
        "code": highlight_python(candidate.code) if candidate.code.strip() else None,
        "curves": _curves(candidate.curves),
        "parents": parents,
        "children": children,
    }


def _curves(entries: Sequence[dict[str, Any]]) -> list[Markup]:
    """Small figures of whatever numbers were logged, the telling ones first."""
    series: dict[str, tuple[list[float], list[float]]] = {}
    for position, entry in enumerate(entries):
        logged = entry.get("step", position)
        step = float(logged) if _is_number(logged) else float(position)
        for name, value in _numbers(entry):
            steps, values = series.setdefault(name, ([], []))
            steps.append(step)
            values.append(value)
    ordered = sorted(series, key=lambda name: (_curve_rank(name), list(series).index(name)))
    drawn = (curve_figure(text.visible(name.replace("_", " "))[:36], *series[name]) for name in ordered)
    return [figure for figure in drawn if figure is not None][:MOST_CURVES]


def _numbers(entry: dict[str, Any]) -> list[tuple[str, float]]:
    """Numbers of a log entry; those of a nested mapping (one per member of the reward) under `outer: inner`."""
    found = []
    for name, value in entry.items():
        if name == "step":
            continue
        if _is_number(value):
            found.append((name, float(value)))
        elif isinstance(value, dict):
            found += [(f"{name}: {inner}", float(v)) for inner, v in value.items() if _is_number(v)]
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _curve_rank(name: str) -> int:
    return next((k for k, start in enumerate(_CURVE_ORDER) if start in name), len(_CURVE_ORDER))
