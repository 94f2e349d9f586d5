"""Candidates of a search as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from eval.report.data import Scores
from eval.report.leaderboard import format_estimate
from search.results.ranking import Outcome, ranked, stopped

ROWS = 15
"""Candidates in the live table."""


def outcomes_table(every: Sequence[Outcome], controls: Mapping[str, Scores | None]) -> Table:
    """F1 with its interval on the split that ranks, best first; what is unscored is counted, not ranked."""
    order = ranked(list(every))
    unscored = len(every) - len(order) - len(stopped(list(every)))
    table = Table(caption=f"{unscored} unscored" if unscored else None, caption_justify="left")
    table.add_column("rank", justify="right", no_wrap=True, min_width=4)
    table.add_column("candidate", overflow="fold", ratio=1)
    table.add_column("round", justify="right", no_wrap=True, min_width=5)
    for column in ("F1", "accuracy"):
        table.add_column(column, justify="right", no_wrap=True, min_width=len("0.000 [0.000, 0.000]"))
    signs = {outcome.candidate.name: str(len(outcome.flags)) for outcome in every if outcome.flags}
    if signs:
        table.add_column("signs of\nhacking", justify="right", no_wrap=True, min_width=len("signs of"))
    rows: list[tuple[str, str, str, Scores]] = []
    for rank, outcome in enumerate(order[:ROWS], start=1):
        assert outcome.scores is not None
        rows.append((str(rank), outcome.candidate.name, str(outcome.candidate.round), outcome.scores))
    rows += [("—", name, "", scores) for name, scores in controls.items() if scores is not None]
    for rank_text, name, round_text, scores in sorted(rows, key=lambda row: -row[3].accuracy.value):
        accuracy = format_estimate(scores.accuracy)
        found = [signs.get(name, "")] if signs else []
        table.add_row(rank_text, Text(name), round_text, format_estimate(scores.f1), accuracy, *found)
    if apart := stopped(list(every)):
        table.add_section()
        for outcome in apart[:ROWS]:
            assert outcome.rung_scores is not None
            f1, accuracy = format_estimate(outcome.rung_scores.f1), format_estimate(outcome.rung_scores.accuracy)
            name = f"{outcome.candidate.name} (stopped after {outcome.rung} steps)"
            found = [signs.get(outcome.candidate.name, "")] if signs else []
            table.add_row("—", Text(name), str(outcome.candidate.round), f1, accuracy, *found)
    return table
