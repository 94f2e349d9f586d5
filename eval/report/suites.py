"""Entries on out-of-distribution suites: what they gained there, and on the suites' matched controls."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eval.report.data import Entry, SuiteScores
from eval.report.leaderboard import format_estimate, markdown_cell, printable, rank_entries, terminal_width
from eval.report.scores import Runs, correct_table, score_runs
from eval.statistics.estimate import Estimate
from eval.statistics.seeds import question_mean, seed_question_mean

_COLUMNS = ("entry", "accuracy", "gain", "gain on matched controls", "gain lost", "n", "seeds")
NOTE = (
    "Gain: accuracy minus that of the untrained base on the same questions. Matched controls: questions within the "
    "distribution of pretraining that differ from the suite's in that one respect. Gain lost: the gain on the matched "
    "controls minus that on the suite, pair by pair; above 0 where an entry gains more within the distribution than "
    "outside it."
)


def suite_scores(suite: str, runs: Runs, untrained: Runs, matched: Runs, untrained_matched: Runs) -> SuiteScores | None:
    """Of one entry on one suite; None if it was not evaluated there. `matched`: empty where it has no matched controls.

    Raises ValueError where runs answered different questions, or suite and matched controls do not have equally many.
    """
    scores = score_runs(runs)
    if scores is None:
        return None
    gained = _gain(runs, untrained)
    matched_gained = _gain(matched, untrained_matched)
    if gained is not None and matched_gained is not None and gained.shape != matched_gained.shape:
        raise ValueError(
            f"a suite of {gained.shape} and matched controls of {matched_gained.shape} do not belong together"
        )
    lost = None if gained is None or matched_gained is None else matched_gained - gained
    return SuiteScores(
        suite=suite,
        scores=scores,
        gain=_mean(gained),
        matched=score_runs(matched),
        matched_gain=_mean(matched_gained),
        gain_lost=_mean(lost),
    )


def format_suites(entries: Sequence[Entry], form: Literal["table", "md"], split: Literal["validation", "test"]) -> str:
    """One table per suite, entries in the order of the leaderboard; empty if no entry has any."""
    ranking = rank_entries(entries, split)
    ordered = [*(entry for _, entry in ranking.ranked), *ranking.apart, *ranking.unscored]
    names = list(dict.fromkeys(found.suite for entry in ordered for found in entry.suites))
    if not names:
        return ""
    parts = []
    for name in names:
        rows = [_cells(entry, found) for entry in ordered for found in entry.suites if found.suite == name]
        parts.append(_markdown(name, rows) if form == "md" else _table(name, rows))
    return "\n".join([*parts, NOTE]) + "\n"


def _gain(runs: Runs, untrained: Runs) -> NDArray[np.float64] | None:
    """Shape (seeds, questions): 1 where training mended an answer, -1 where it spoilt one."""
    if not runs or not untrained:
        return None
    (base,) = correct_table(untrained)
    return np.asarray(correct_table(runs) - base.astype(np.float64), dtype=np.float64)


def _mean(table: NDArray[np.float64] | None) -> Estimate | None:
    """For new seeds and questions; of a single run for new questions."""
    if table is None or table.shape[1] < 2:
        return None
    return question_mean(table[0]) if len(table) == 1 else seed_question_mean(table)


def _cells(entry: Entry, found: SuiteScores) -> tuple[str, ...]:
    figures = (found.scores.accuracy, found.gain, found.matched_gain, found.gain_lost)
    return entry.name, *map(format_estimate, figures), str(found.scores.n), str(len(found.scores.seeds))


def _markdown(name: str, rows: Sequence[tuple[str, ...]]) -> str:
    lines = [f"**{markdown_cell(name)}**", "", "| " + " | ".join(_COLUMNS) + " |", "|" + " --- |" * len(_COLUMNS)]
    return "\n".join([*lines, *("| " + " | ".join(map(markdown_cell, row)) + " |" for row in rows), ""])


def _table(name: str, rows: Sequence[tuple[str, ...]]) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in _COLUMNS:
        first = column == "entry"
        table.add_column(column, justify="left" if first else "right", no_wrap=not first, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    output = io.StringIO()
    Console(file=output, width=max(terminal_width(), 130), color_system=None).print(table)
    lines = [line.rstrip() for line in output.getvalue().strip("\n").splitlines()]
    return "\n".join([f"out of distribution: {printable(name)}", *lines, ""])
