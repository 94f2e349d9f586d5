"""Makes the report: one HTML file that needs no network."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from eval.report import text
from eval.report.candidates import candidate_rows, candidate_section, flag_rows, round_rows
from eval.report.certainty import evidence_words, ranking_evidence
from eval.report.data import Entry, RankedEntry, RankingEvidence, ReportData, SuiteScores
from eval.report.figures import rank_bar, share_bar
from eval.report.illustrations import (
    entry_kind,
    forest_figure,
    lineage_figure,
    matrix_figure,
    rounds_figure,
    samples_figure,
    splits_figure,
    time_figure,
    training_figure,
)
from eval.report.latex import latex_leaderboard
from eval.report.leaderboard import format_leaderboard, rank_entries
from eval.report.methods import methods
from eval.report.opening import caveats, findings, headline, key_figures
from eval.report.palette import palette
from eval.report.ranking import (
    anchors,
    control_words,
    ranked_candidates,
    shown_split,
    split_scores,
    stopped_candidates,
    unscored_candidates,
    winner,
    winning_members,
)

WIDE, NARROW, PANEL, SQUARE = 960, 350, 300, 400
"""Widths of drawings in pixels: of the page, of a phone, of a panel among others, of a square figure."""


def render(data: ReportData) -> str:
    """The whole report as one HTML document, with style, script and figures inside it.

    Everything that comes from proposers, policies and file names is escaped, control characters are made visible,
    and the page's content policy lets no script run but its own.
    """
    script = _resource("script.js")
    html: str = (
        _environment()
        .get_template("page.html.j2")
        .render(
            data=data,
            run=data.run,
            style=Markup(palette() + _resource("style.css")),
            script=Markup(script),
            script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            text=text,
            **_opening(data),
            **_figures(data),
            **_candidates(data),
            leaderboard=_leaderboard(data),
            drops=[entry for entry in data.entries if entry.validation_minus_test and entry.test],
            suites=_suites(data),
            evidence=_evidence(data),
            evidence_words=evidence_words,
            pairwise=_pairwise(data),
            methods=methods(data).split("\n\n"),
            markdown=format_leaderboard(data.entries, "md", data.run.selection_split) if data.entries else "",
            latex=latex_leaderboard(data.entries, data.run.selection_split) if data.entries else "",
        )
    )
    # Half surrogates can stand in text that came as JSON; they cannot be written as UTF-8.
    return html.encode("utf-8", "replace").decode("utf-8")


@cache
def _resource(name: str) -> str:
    return files("eval.report").joinpath("page", name).read_text(encoding="utf-8")


@cache
def _environment() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = text.visible
    return environment


def _opening(data: ReportData) -> dict[str, Any]:
    run = data.run
    facts = [
        ("Task", run.task),
        ("Base policy", run.base_model),
        ("Proposer", run.proposer or ""),
        ("Started", text.moment(run.started) if run.started else ""),
        ("Seed", "" if run.seed is None else str(run.seed)),
        ("Config", (run.config_digest or "")[:12]),
    ]
    return {
        "headline": headline(data),
        "findings": findings(data),
        "key_figures": key_figures(data),
        "caveats": [*caveats(data), *data.notes],
        "facts": [(name, value) for name, value in facts if value],
    }


def _figures(data: ReportData) -> dict[str, Any]:
    """Wide and narrow drawings of the same figure, where one does not fit both; the style sheet shows one of them."""
    both = {"rounds_figure": rounds_figure(data), "forest_figure": forest_figure(data)}
    drawn: dict[str, Any] = {
        name: (figure.svg(WIDE), figure.svg(NARROW)) if figure else None for name, figure in both.items()
    }
    splits, lineage, training, time = (
        splits_figure(data),
        lineage_figure(data),
        training_figure(data),
        time_figure(data),
    )
    drawn["splits_figure"] = splits.svg(SQUARE) if splits else None
    drawn["lineage_figure"] = lineage.svg(WIDE) if lineage else None
    drawn["training_figure"] = training.svg(PANEL) if training else None
    samples = samples_figure(data)
    drawn["base_figure"] = samples.svg(SQUARE) if samples else None
    drawn["time_figure"] = time.svg(SQUARE) if time else None
    return drawn


def _candidates(data: ReportData) -> dict[str, Any]:
    where, members = anchors(data), winning_members(data)
    ranked, stopped, unscored = ranked_candidates(data), stopped_candidates(data), unscored_candidates(data)
    return {
        "rounds": round_rows(data),
        "flags": flag_rows(data),
        "candidates": [
            *candidate_rows(data, ranked, members, first_rank=1),
            *candidate_rows(data, stopped, members),
            *candidate_rows(data, unscored, members),
        ],
        "scored": [candidate_section(data, c, k, where) for k, c in enumerate(ranked, start=1)],
        "stopped": [candidate_section(data, c, None, where) for c in stopped],
        "unscored": [candidate_section(data, c, None, where) for c in unscored],
        "families": sorted({text.visible(c.family) for c in data.candidates if c.family}),
        "statuses": sorted({c.status for c in data.candidates}),
    }


def _leaderboard(data: ReportData) -> dict[str, Any] | None:
    if not data.entries:
        return None
    ranking = rank_entries(data.entries, data.run.selection_split)
    lines = [(str(rank), entry) for rank, entry in ranking.ranked] + [(text.DASH, entry) for entry in ranking.apart]
    shown = shown_split(data)
    return {
        "rows": [
            {
                "rank": rank,
                "entry": entry,
                "kind": entry_kind(entry),
                "control": control_words(entry),
                "scores": split_scores(entry, shown),
                "first_apart": bool(ranking.apart) and entry is ranking.apart[0],
            }
            for rank, entry in lines
        ],
        "unscored": ranking.unscored,
        "shown": shown,
        "split": data.run.selection_split,
    }


def _suites(data: ReportData) -> dict[str, list[tuple[Entry, SuiteScores]]]:
    """By suite, the entries that were evaluated on it, in the order of the leaderboard."""
    ranking = rank_entries(data.entries, data.run.selection_split)
    found: dict[str, list[tuple[Entry, SuiteScores]]] = {}
    for entry in (*(entry for _, entry in ranking.ranked), *ranking.apart, *ranking.unscored):
        for scores in entry.suites:
            found.setdefault(scores.suite, []).append((entry, scores))
    return found


def _evidence(data: ReportData) -> list[tuple[str, RankingEvidence, list[tuple[RankedEntry, Markup, Markup]]]]:
    """Titles, evidence, and its entries with their small drawings."""
    return [
        (
            title,
            found,
            [
                (
                    row,
                    share_bar(row.probability_best),
                    rank_bar(row.interval.low, row.interval.high, row.resampled.rank, len(found.entries)),
                )
                for row in found.entries
            ],
        )
        for title, found in ranking_evidence(data)
    ]


def _pairwise(data: ReportData) -> dict[str, Any] | None:
    figure = matrix_figure(data)
    if figure is None:
        return None
    table, best = figure.table, winner(data)
    return {
        "table": table,
        "names": figure.names,
        "matrix": [{"name": name, "cells": cells} for name, cells in figure.rows()],
        "winner": best.name if best else None,
        "significant": sum(test.holm <= table.level for test in table.tests),
        "equivalent": sum(t.equivalence_p is not None and t.equivalence_p <= table.level for t in table.tests),
        "families": any(test.family for test in table.tests),
        "over_seeds": any(test.seeds_difference for test in table.tests),
    }
