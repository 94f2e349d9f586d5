"""Candidates of a search as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.report.data import Entry, ProposingModel, Scores
from eval.report.leaderboard import format_estimate, luck_words
from eval.report.ranking import ranking_f1, ranking_key, shared_ranks
from eval.report.table import Cell, Column, Row, Table
from eval.report.text import money
from search.results.ranking import Outcome, ranked, stopped

ROWS = 15
"""Candidates in the live table."""


def outcomes_table(every: Sequence[Outcome], controls: Mapping[str, Scores | None]) -> Table:
    """F1 with its interval on the split that ranks, best first; what is unscored is counted, not ranked."""
    order, apart = ranked(list(every)), stopped(list(every))
    flagged = any(outcome.flags for outcome in every)
    columns = [Column("rank"), Column("candidate", "name"), Column("round", spare=2), Column("F1")]
    columns += [Column("accuracy", spare=1)]
    raced = any(o.scores and o.scores.shrunken_accuracy is not None for o in order)
    columns += [Column("runs", spare=3), Column("expected\nF1")] if raced else []
    columns += [Column("signs of\nhacking", spare=4)] if flagged else []

    def row(rank: str, name: str, scores: Scores, outcome: Outcome | None = None) -> Row:
        signs = str(len(outcome.flags) or "") if outcome else ""
        round_ = str(outcome.candidate.round) if outcome else ""
        figures = format_estimate(scores.f1), format_estimate(scores.accuracy)
        expected = "" if scores.shrunken_accuracy is None else f"{ranking_f1(scores):.3f}"
        of_race = [str(len(scores.seeds)), expected] if raced else []
        return (rank, name, round_, *figures, *of_race, *([signs] if flagged else []))

    shown = [
        (
            ranking_key(outcome.scores, outcome.candidate),
            row(str(rank), outcome.candidate.name, outcome.scores, outcome),
        )
        for rank, outcome in zip(shared_ranks(o.scores for o in order), order, strict=True)
        if outcome.scores
    ][:ROWS]
    shown += [
        (ranking_key(scores, Entry(name=name, kind="control")), row("—", name, scores))
        for name, scores in controls.items()
        if scores
    ]
    unscored = len(every) - len(order) - len(apart)
    trained = [scores for scores in (*(o.scores for o in order), *controls.values()) if scores]
    captions = [luck_words(trained)] if trained else []
    captions += ["ranked by expected F1, which fewer runs bring nearer to the mean of all"] if raced else []
    return Table(
        tuple(columns),
        tuple(cells for _, cells in sorted(shown)),
        tuple(
            row("—", f"{o.candidate.name} (stopped after {o.rung} steps)", o.rung_scores, o)
            for o in apart[:ROWS]
            if o.rung_scores
        ),
        caption="; ".join([*captions, *([f"{unscored} unscored"] if unscored else [])]),
    )


def models_table(models: Sequence[ProposingModel]) -> Table:
    """What was asked of each language model, and how its candidates did."""
    rows: list[Row] = []
    for model in models:
        mean, best = model.mean, model.best_scores
        rows.append(
            (
                Cell(model.name, f"best: {model.best}" if best else ""),
                Cell(str(model.calls), f"{model.unanswered} lost" if model.unanswered else ""),
                Cell(f"{model.tokens:,}", money(model.cost_usd)),
                f"{model.accepted} of {model.candidates}",
                Cell(
                    f"{format_estimate(mean)} of {mean.n}" if mean else "—",
                    f"best {format_estimate(best.f1)}" if best else "",
                ),
            )
        )
    columns = (
        Column("language model", "name"),
        Column("calls", spare=2),
        Column("tokens\nand cost"),
        Column("accepted", spare=1),
        Column("mean F1"),
    )
    return Table(columns, tuple(rows))


def prescreening_table(every: Sequence[Outcome]) -> Table:
    """What the base policy's rollouts said of each candidate before it was trained, in the order of proposal."""
    rows: list[Row] = []
    for outcome in every:
        if (found := outcome.prescreening) is not None:
            like = found.closest
            remark = f"most like {like.name} ({like.rank_correlation:+.3f})" if like else ""
            shares = ["—" if figure is None else f"{figure.value:.2f}" for figure in (found.preference, found.spread)]
            length = "—" if found.length is None else f"{found.length.value:+.2f}"
            rows.append((Cell(outcome.candidate.name, remark), format_estimate(found.auc), *shares, length))
    columns = (
        Column("candidate", "name"),
        Column("AUC"),
        *(Column(name, spare=1) for name in ("in group", "spread", "length")),
    )
    return Table(columns, tuple(rows), title="before training, on rollouts of the base policy")
