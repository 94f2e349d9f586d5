"""From the data of a report to its figures; None where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eval.report import text
from eval.report.data import Candidate, Entry, ReportData
from eval.report.figures.bars import SamplesFigure, TimeBar, TimeFigure
from eval.report.figures.figure import PaperFigure
from eval.report.figures.forest import ForestFigure, ForestRow
from eval.report.figures.lineage import Ancestor, Descent, LineageFigure
from eval.report.figures.matrix import MatrixFigure
from eval.report.figures.rounds import Level, RoundPoint, RoundsFigure
from eval.report.figures.splits import SplitPoint, SplitsFigure
from eval.report.figures.training import Curve, TrainingFigure, finite_pairs
from eval.report.ranking import (
    BASE_REWARDS_ONLY,
    UNTRAINED_BASE,
    anchors,
    candidate_f1,
    control,
    control_words,
    rank_entries,
    ranked_candidates,
    shown_split,
    split_scores,
    winner,
    winning_members,
)
from eval.statistics.seeds import summarise_seeds

MOST_PANELS = 6
TOP_WITHOUT_WINNER = 5
"""Candidates whose lineage is shown before a winner is named."""
_CURVE_ORDER = ("accuracy", "reward", "extraction", "completion", "entropy", "firing", "kl", "loss", "grad", "learning")


def figures(data: ReportData) -> list[PaperFigure]:
    """All that this run has, in the page's order."""
    found: list[PaperFigure | None] = [
        rounds_figure(data),
        forest_figure(data),
        splits_figure(data),
        matrix_figure(data),
        lineage_figure(data),
        training_figure(data),
        samples_figure(data),
        time_figure(data),
    ]
    return [figure for figure in found if figure is not None]


def rounds_figure(data: ReportData) -> RoundsFigure | None:
    ranked, members, anchor = ranked_candidates(data), winning_members(data), anchors(data)
    if not ranked:
        return None
    rounds = sorted({entry.number for entry in data.rounds} | {candidate.round for candidate in data.candidates})
    means, unscored = [], {}
    for round_ in rounds:
        scored = [candidate_f1(candidate) for candidate in ranked if candidate.round == round_]
        unscored[round_] = sum(candidate.round == round_ for candidate in data.candidates) - len(scored)
        if scored:
            means.append((round_, summarise_seeds(scored)))
    return RoundsFigure(
        rounds=tuple(rounds),
        points=tuple(
            RoundPoint(c.round, text.visible(c.name), anchor[id(c)], c.scores.f1, c.name in members)
            for c in ranked
            if c.scores is not None
        ),
        means=tuple(means),
        levels=tuple(
            Level(text.visible(entry.name), scores.f1.value)
            for entry in data.baselines
            if entry.failure is None and (scores := split_scores(entry, data.run.selection_split))
        ),
        unscored=unscored,
    )


def entry_kind(entry: Entry) -> str:
    return "winner" if entry.winner else "control" if entry.kind == "control" else "other"


def forest_figure(data: ReportData) -> ForestFigure | None:
    """Entries as ranked, then those listed apart, then the controls."""
    split = shown_split(data)
    ranking = rank_entries(data.entries, data.run.selection_split)
    comparable = [entry for _, entry in ranking.ranked]
    groups = [
        ("Ensembles", [entry for entry in comparable if entry.kind == "ensemble"]),
        ("Single rewards", [entry for entry in comparable if entry.kind == "single"]),
        ("Controls", [entry for entry in comparable if entry.kind == "control"]),
        ("Listed apart", list(ranking.apart)),
    ]
    rows = [
        ForestRow(text.visible(entry.name), _note(entry), scores.f1, entry_kind(entry), group)
        for group, entries in groups
        for entry in entries
        if (scores := split_scores(entry, split))
    ]
    if not rows:
        return None
    base = control(data.entries, BASE_REWARDS_ONLY)
    shown = split_scores(base, split) if base else None
    return ForestFigure(tuple(rows), split, (BASE_REWARDS_ONLY, shown.f1) if shown else None)


def _note(entry: Entry) -> str:
    if entry.listed_apart:
        return text.visible(entry.listed_apart)
    if entry.kind == "control":
        return text.visible(control_words(entry))
    return text.counted(len(entry.members), "reward") if len(entry.members) > 1 else ""


def splits_figure(data: ReportData) -> SplitsFigure | None:
    """Without the untrained base, which nothing was chosen for and which would push the others together."""
    points = [
        SplitPoint(str(rank), f"{rank}. {text.visible(e.name)}", e.validation.f1, e.test.f1, entry_kind(e))
        for rank, e in rank_entries(data.entries, data.run.selection_split).ranked
        if e.validation and e.test and e.control != UNTRAINED_BASE
    ]
    return SplitsFigure(tuple(points)) if len(points) > 1 else None


def matrix_figure(data: ReportData) -> MatrixFigure | None:
    table = data.pairwise
    if table is None or not table.tests:
        return None
    named = {name for test in table.tests for name in (test.first, test.second)}
    names = [e.name for _, e in rank_entries(data.entries, data.run.selection_split).ranked if e.name in named]
    return MatrixFigure((*names, *sorted(named - set(names))), table)


def lineage_figure(data: ReportData) -> LineageFigure | None:
    """Ancestors of the winner's members; of the best candidates while there is no winner. None where nobody descends
    from anybody."""
    best, ranked, anchor = winner(data), ranked_candidates(data), anchors(data)
    known: dict[str, Candidate] = {}
    for candidate in data.candidates:
        known.setdefault(candidate.identity, candidate)
    members = [c for c in ranked if c.name in best.members] if best else ranked[:TOP_WITHOUT_WINNER]
    scored, chosen = {id(candidate) for candidate in ranked}, {id(candidate) for candidate in members}
    found: dict[str, Ancestor] = {}
    descents: list[tuple[str, str]] = []
    waiting = [candidate.identity for candidate in members]
    while waiting:
        identity = waiting.pop()
        if identity in found:
            continue
        if identity not in known:
            found[identity] = Ancestor(text.visible(data.older.get(identity, identity[:8])), None, 0, None, False)
            continue
        candidate = known[identity]
        found[identity] = Ancestor(
            label=text.visible(candidate.name),
            anchor=anchor[id(candidate)],
            round=candidate.round,
            f1=candidate_f1(candidate) if id(candidate) in scored else None,
            member=id(candidate) in chosen,
        )
        for parent in candidate.parents:
            # A parent of the same or a later round would be a mistake of the records; it cannot be drawn as a line.
            if parent not in known or known[parent].round < candidate.round:
                descents.append((parent, identity))
                waiting.append(parent)
    if not descents:
        return None
    place = {identity: k for k, identity in enumerate(found)}
    lines = dict.fromkeys(Descent(place[parent], place[child]) for parent, child in descents)
    return LineageFigure(tuple(found.values()), tuple(lines))


def training_figure(data: ReportData) -> TrainingFigure | None:
    """The figures that were logged for the most candidates, one panel each."""
    members = winning_members(data)
    panels: dict[str, list[Curve]] = {}
    for candidate in ranked_candidates(data):
        for name, steps, values in curves(candidate.curves):
            if pairs := finite_pairs(steps, values):
                curve = Curve(
                    text.visible(candidate.name),
                    tuple(step for step, _ in pairs),
                    tuple(value for _, value in pairs),
                    candidate.name in members,
                )
                panels.setdefault(name, []).append(curve)
    shared = [name for name in panels if len(panels[name]) > 1 and ":" not in name]
    order = sorted(shared, key=lambda name: (curve_rank(name), list(panels).index(name)))[:MOST_PANELS]
    return TrainingFigure(tuple((curve_label(name), tuple(panels[name])) for name in order)) if order else None


def samples_figure(data: ReportData) -> SamplesFigure | None:
    """None unless every question has the same number of samples, at least two."""
    questions = data.base_samples.questions if data.base_samples else ()
    sizes = {question.samples for question in questions}
    if len(sizes) != 1 or min(sizes) < 2:
        return None
    return SamplesFigure(tuple(sum(q.right == k for q in questions) for k in range(min(sizes) + 1)))


def time_figure(data: ReportData) -> TimeFigure | None:
    bars = [TimeBar(text.visible(phase), seconds) for phase, seconds in data.run.seconds.items() if seconds > 0]
    return TimeFigure(tuple(bars)) if bars else None


def curves(entries: Sequence[dict[str, Any]]) -> list[tuple[str, list[float], list[float]]]:
    """Name, steps and values of whatever numbers were logged, the telling ones first."""
    series: dict[str, tuple[list[float], list[float]]] = {}
    for position, entry in enumerate(entries):
        logged = entry.get("step", position)
        step = float(logged) if _is_number(logged) else float(position)
        for name, value in _numbers(entry):
            steps, values = series.setdefault(name, ([], []))
            steps.append(step)
            values.append(value)
    ordered = sorted(series, key=lambda name: (curve_rank(name), list(series).index(name)))
    return [(name, *series[name]) for name in ordered]


def curve_label(name: str) -> str:
    return text.visible(name.replace("_", " "))[:36]


def curve_rank(name: str) -> int:
    return next((k for k, start in enumerate(_CURVE_ORDER) if start in name), len(_CURVE_ORDER))


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
