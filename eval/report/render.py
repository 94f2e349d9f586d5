"""Makes the report: one HTML file that needs no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from eval.report import illustrations, text
from eval.report.candidates import candidate_groups, round_rows
from eval.report.data import RankedEntry, RankingEvidence, ReportData
from eval.report.latex import latex_leaderboard
from eval.report.leaderboard import format_leaderboard
from eval.report.lineage_tree import lineage_tree
from eval.report.opening import caveats, findings, headline, methods, next_steps, opening_facts
from eval.report.parts import parts
from eval.report.ranking import Ranking, anchors, control_words, rank_entries, ranked_candidates, split_scores
from eval.report.suites import by_suite
from eval.report.templates import environment, resource, style
from eval.report.transfer import NOTE, transfer_sentences, transferred

WIDE, NARROW, PANEL, SQUARE = 960, 350, 300, 400
"""Widths of drawings in pixels: of the page, of a phone, of a panel among others, of a square figure."""


def render(data: ReportData) -> str:
    """The whole report as one HTML document, with style, script and figures inside it.

    Everything that comes from proposers, policies and file names is escaped, control characters are made visible,
    and the page's content policy lets no script run but its own.
    """
    script = resource("page/script.js") + resource("page/views.js")
    page = environment("eval.report", "page", autoescape=True).get_template("page.html.j2")
    html = page.render(
        style=style("page/style.css"),
        script=Markup(script),
        script_digest=digest_of(script),
        parts=parts(data),
        **_facts(data),
    )
    # Half surrogates can stand in text that came as JSON; they cannot be written as UTF-8.
    return html.encode("utf-8", "replace").decode("utf-8")


def render_sections(data: ReportData, names: Sequence[str]) -> dict[str, str]:
    """Single sections of the page, by the names of their templates, for a page that shows a search while it runs; those
    for which the data hold nothing are empty."""
    fragment, facts = environment("eval.report", "page", autoescape=True).get_template("fragment.html.j2"), _facts(data)
    return {name: fragment.render(section=f"{name}.html.j2", parts={}, **facts).strip() for name in names}


def digest_of(script: str) -> str:
    """As a content policy names the one script that may run."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _facts(data: ReportData) -> dict[str, Any]:
    """What the templates of the page's sections are written from."""
    split = data.run.selection_split
    ranking, where = rank_entries(data.entries, split), anchors(data)
    return dict(
        headline=headline(data),
        findings=findings(data),
        next_steps=next_steps(data),
        caveats=[*caveats(data), *data.notes],
        **opening_facts(data),
        **_figures(data),
        rounds=round_rows(data),
        **candidate_groups(data),
        families=sorted({text.visible(c.family) for c in data.candidates if c.family}),
        tree=lineage_tree(data),
        anchor_of=lambda candidate: where[id(candidate)],
        statuses=sorted({c.status for c in data.candidates}),
        ranking=ranking,
        entry_kind=illustrations.entry_kind,
        control_words=control_words,
        split_scores=split_scores,
        suites=by_suite(ranking),
        transfer=transferred(data.entries)[1],
        transfer_sentences=transfer_sentences(data.entries),
        transfer_note=NOTE,
        certainty=_certainty(data, ranking),
        methods=methods(data),
        markdown=format_leaderboard(data.entries, "md", split) if data.entries else "",
        latex=latex_leaderboard(data.entries, split) if data.entries else "",
    )


def _figures(data: ReportData) -> dict[str, Any]:
    """Wide and narrow drawings of the same figure, where one does not fit both; the style sheet shows one of them."""
    rounds, forest = illustrations.rounds_figure(data), illustrations.forest_figure(data)
    splits, lineage = illustrations.splits_figure(data), illustrations.lineage_figure(data)
    training, time = illustrations.training_figure(data), illustrations.time_figure(data)
    samples = illustrations.samples_figure(data)
    return {
        "rounds_figure": (rounds.svg(WIDE), rounds.svg(NARROW)) if rounds else None,
        "forest_figure": (forest.svg(WIDE), forest.svg(NARROW)) if forest else None,
        "splits_figure": splits.svg(SQUARE) if splits else None,
        "lineage_figure": lineage.svg(WIDE) if lineage else None,
        "training_figure": training.svg(PANEL) if training else None,
        "base_figure": samples.svg(SQUARE) if samples else None,
        "time_figure": time.svg(SQUARE) if time else None,
        "pairwise": illustrations.matrix_figure(data),
    }


def _certainty(data: ReportData, ranking: Ranking) -> list[tuple[str, RankingEvidence, list[RankedEntry]]]:
    """Titles, evidence, and its entries by rank, equal ones in the order of the other tables."""
    split = data.run.selection_split
    entries = {entry.name: place for place, entry in enumerate(ranking.ordered)}
    candidates = {candidate.name: place for place, candidate in enumerate(ranked_candidates(data))}
    found = [
        (f"Entries on {split}", data.final_evidence, entries),
        ("Entries on test, where nothing was selected", data.test_evidence, entries),
        (f"Candidates, by their screenings on {split}", data.screening_evidence, candidates),
    ]
    return [
        (title, evidence, sorted(evidence.entries, key=lambda row: (row.resampled.rank, places.get(row.name, 0))))
        for title, evidence, places in found
        if evidence is not None
    ]
