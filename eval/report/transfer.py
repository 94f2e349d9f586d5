"""Whether the winner is ahead of the base rewards alone under other settings too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from eval.report.data import Entry, Transfer
from eval.report.leaderboard import format_estimate
from eval.report.scores import Runs, correct_table, score_runs
from eval.report.table import Column, Table, terminal_width, wrapped
from eval.report.text import points_interval, signed_points
from eval.statistics.luck import SeedVariance, difference_for_both, pooled_seed_variance
from eval.statistics.seeds import question_mean

_COLUMNS = (
    Column("setting", "name"),
    *map(Column, ("winner's accuracy", "base rewards' accuracy", "difference", "n", "seeds")),
)
NOTE = (
    "The winner and the base rewards alone, trained again under other settings once all was chosen; nothing here "
    "ranked or selected. Intervals hold new questions and new seeds, with the variance between seeds of the runs "
    "of that setting; each stands by itself, uncorrected for their number."
)


def transfer_scores(
    setting: str, winner: Runs, control: Runs, luck: SeedVariance | None, failure: str | None = None
) -> Transfer:
    """`winner`, `control`: of all seeds, or empty where a seed is missing. `luck`: of the search, for settings under
    which nothing was trained twice. Raises ValueError where runs answered different questions."""
    own = pooled_seed_variance([correct_table(runs) for runs in (winner, control) if runs])
    held, difference = own or luck, None
    first, second = (correct_table(runs) if runs else None for runs in (winner, control))
    if first is not None and second is not None and first.shape[1] > 1:
        if held is not None:
            difference = difference_for_both(first, second, held).estimate
        else:
            difference = question_mean(first.mean(axis=0) - second.mean(axis=0))
    return Transfer(
        setting=setting,
        winner=score_runs(winner, luck=held),
        control=score_runs(control, luck=held),
        difference=difference,
        luck="setting" if own else "search" if luck else "questions",
        failure=failure,
    )


def verdict(found: Transfer) -> Literal["holds", "reverses", "not shown"]:
    """Whether the winner's lead holds there, for new questions and new seeds."""
    if found.difference is None or found.luck == "questions":
        return "not shown"
    return "holds" if found.difference.low > 0 else "reverses" if found.difference.high < 0 else "not shown"


def transfer_sentence(found: Transfer, winner: str) -> str:
    if found.difference is None:
        return (
            f"Under {found.setting} nothing can be said of {winner}: {found.failure or 'there is a single question'}."
        )
    ahead = f"{signed_points(found.difference.value)} points of accuracy {points_interval(found.difference)}"
    if found.luck == "questions":
        said = "nothing was trained twice, so no lead is shown for new seeds"
    else:
        said = {
            "holds": "its lead holds there",
            "reverses": "its lead reverses there",
            "not shown": "a lead is not shown there",
        }[verdict(found)]
    variance = ", with the variance between seeds of the search" if found.luck == "search" else ""
    return f"Under {found.setting} {winner} is {ahead} from the base rewards alone{variance}: {said}."


def transferred(entries: Sequence[Entry]) -> tuple[str, tuple[Transfer, ...]]:
    """The winner's name and its figures; none before they are there."""
    return next(((entry.name, entry.transfer) for entry in entries if entry.transfer), ("", ()))


def transfer_sentences(entries: Sequence[Entry]) -> list[str]:
    winner, every = transferred(entries)
    return [transfer_sentence(found, winner) for found in every]


def format_transfer(entries: Sequence[Entry], form: Literal["table", "md"]) -> str:
    """A table and a sentence for each setting; empty if there are none."""
    _, every = transferred(entries)
    if not every:
        return ""
    table, said = Table(_COLUMNS, tuple(map(_cells, every))), [*transfer_sentences(entries), NOTE]
    if form == "md":
        return "\n".join(["**under other settings**\n", table.markdown(), *(f"{line}\n" for line in said)])
    width = max(terminal_width(), 120)
    return f"under other settings\n{table.text(width)}" + "".join(wrapped(line, width) for line in said)


def _cells(found: Transfer) -> tuple[str, ...]:
    scores = [scores for scores in (found.winner, found.control) if scores]
    figures = [format_estimate(side.accuracy if side else None) for side in (found.winner, found.control)]
    seeds = " and ".join(str(len(side.seeds)) if side else "—" for side in (found.winner, found.control))
    return found.setting, *figures, format_estimate(found.difference), str(scores[0].n) if scores else "—", seeds
