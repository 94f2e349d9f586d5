"""Entries on out-of-distribution suites: what they gained there, and on the suites' matched controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eval.report.data import Entry, SuiteScores
from eval.report.leaderboard import format_estimate
from eval.report.ranking import Ranking, RankingSplit, rank_entries
from eval.report.scores import Runs, correct_table, score_runs
from eval.report.table import Column, Table, markdown_cell, printable, terminal_width
from eval.statistics.estimate import Estimate
from eval.statistics.seeds import question_mean, seed_question_mean

_COLUMNS = (
    Column("entry", "name"),
    *map(Column, ("accuracy", "gain", "gain on matched controls", "gain lost", "n", "seeds")),
)
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


def format_suites(entries: Sequence[Entry], form: Literal["table", "md"], split: RankingSplit) -> str:
    """One table per suite, entries in the order of the leaderboard; empty if no entry has any."""
    parts = []
    for name, found in by_suite(rank_entries(entries, split)).items():
        rows = tuple(_cells(entry, scores) for entry, scores in found)
        table = Table(_COLUMNS, rows)
        if form == "md":
            parts.append(f"**{markdown_cell(name)}**\n\n{table.markdown()}")
        else:
            parts.append(f"out of distribution: {printable(name)}\n{table.text(max(terminal_width(), 130))}")
    return "\n".join([*parts, NOTE]) + "\n" if parts else ""


def by_suite(ranking: Ranking) -> dict[str, list[tuple[Entry, SuiteScores]]]:
    """The entries that were evaluated on each suite, in the order of the leaderboard."""
    found: dict[str, list[tuple[Entry, SuiteScores]]] = {}
    for entry in ranking.ordered:
        for scores in entry.suites:
            found.setdefault(scores.suite, []).append((entry, scores))
    return found


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
