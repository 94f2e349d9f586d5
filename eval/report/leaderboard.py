"""The final leaderboard, ranked and written for terminals, Markdown, spreadsheets and programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from eval.report.data import Entry, Scores, SuiteScores
from eval.statistics.estimate import Estimate

LeaderboardFormat = Literal["table", "md", "csv", "json"]
RankingSplit = Literal["validation", "test"]


class Ranking(NamedTuple):
    ranked: tuple[tuple[int, Entry], ...]
    """Rank and entry, best F1 first; entries of equal F1 share a rank and stand by name."""
    apart: tuple[Entry, ...]
    """Scored, but not comparable with the others."""
    unscored: tuple[Entry, ...]


def rank_entries(entries: Sequence[Entry], split: RankingSplit = "validation") -> Ranking:
    """Ranks by F1 on the split. What failed or has no scores there is listed, never ranked."""
    scored = [entry for entry in entries if entry.failure is None and getattr(entry, split) is not None]
    comparable = [entry for entry in scored if entry.listed_apart is None]
    comparable.sort(key=lambda entry: (-_f1(entry, split), entry.name))
    ranked: list[tuple[int, Entry]] = []
    for position, entry in enumerate(comparable, start=1):
        tied = ranked and _f1(ranked[-1][1], split) == _f1(entry, split)
        ranked.append((ranked[-1][0] if tied else position, entry))
    apart = sorted((e for e in scored if e.listed_apart is not None), key=lambda e: (-_f1(e, split), e.name))
    known = {id(entry) for entry in scored}
    return Ranking(tuple(ranked), tuple(apart), tuple(entry for entry in entries if id(entry) not in known))


def format_leaderboard(
    entries: Sequence[Entry], form: LeaderboardFormat = "table", split: RankingSplit = "validation"
) -> str:
    """The leaderboard as text. `table` is for a terminal of any width; `csv` and `json` hold full precision."""
    ranking = rank_entries(entries, split)
    if form == "table":
        return _table(ranking)
    if form == "md":
        return _markdown(ranking)
    if form == "csv":
        return _csv(ranking)
    if form == "json":
        return json.dumps(_records(ranking), indent=2, ensure_ascii=False) + "\n"
    raise ValueError(f"unknown leaderboard format {form!r}")


def format_estimate(estimate: Estimate | None, digits: int = 3) -> str:
    """Such as `0.785 [0.756, 0.813]`; a dash where there is nothing to show."""
    if estimate is None:
        return "—"
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def entry_remark(entry: Entry) -> str:
    """What has to be said beside an entry's figures: winner, control, listed apart, or why it is unscored."""
    remarks = []
    if entry.winner:
        remarks.append("named on validation")
    if entry.control and entry.control != entry.name:
        remarks.append(entry.control)
    if entry.listed_apart:
        remarks.append(f"listed apart: {entry.listed_apart}")
    if entry.failure:
        remarks.append(f"unscored: {entry.failure}")
    elif entry.validation is None and entry.test is None:
        remarks.append("unscored: not evaluated")
    return "; ".join(remarks)


def _f1(entry: Entry, split: RankingSplit) -> float:
    scores: Scores = getattr(entry, split)
    return scores.f1.value


def _lines(ranking: Ranking) -> list[tuple[str, Entry]]:
    ranked = [(str(rank), entry) for rank, entry in ranking.ranked]
    return ranked + [("—", entry) for entry in (*ranking.apart, *ranking.unscored)]


_COLUMNS = ("rank", "entry", "validation F1", "test F1", "test accuracy", "answered", "n", "seeds", "remark")


def _cells(rank: str, entry: Entry) -> tuple[str, ...]:
    shown = entry.test or entry.validation
    return (
        rank,
        entry.name,
        format_estimate(entry.validation.f1 if entry.validation else None),
        format_estimate(entry.test.f1 if entry.test else None),
        format_estimate(entry.test.accuracy if entry.test else None),
        "—" if shown is None or shown.extraction_rate is None else f"{shown.extraction_rate.value:.3f}",
        "—" if shown is None else str(shown.n),
        "—" if shown is None else str(len(shown.seeds)),
        entry_remark(entry),
    )


def _table(ranking: Ranking) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    lines = _lines(ranking)
    opened = any(entry.test for _, entry in lines)
    columns = [k for k, name in enumerate(_COLUMNS[:-1]) if opened or not name.startswith("test")]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for k in columns:
        name = _COLUMNS[k] == "entry"
        table.add_column(_COLUMNS[k], justify="left" if name else "right", no_wrap=not name, overflow="fold")
    for rank, entry in lines:
        cells = _cells(rank, entry)
        table.add_row(*(Text(printable(cells[k])) for k in columns))
    output = io.StringIO()
    console = Console(file=output, width=terminal_width(), color_system=None)
    console.print(table)
    for _, entry in lines:
        if remark := entry_remark(entry):
            console.print(Text(printable(f"{entry.name}: {remark}")))
    return "\n".join(line.rstrip() for line in output.getvalue().strip("\n").splitlines()) + "\n"


def terminal_width() -> int:
    """Narrower than 100 columns the figures would be cut, so the table then runs over the edge instead."""
    from shutil import get_terminal_size

    return max(100, get_terminal_size((120, 40)).columns)


def _markdown(ranking: Ranking) -> str:
    lines = ["| " + " | ".join(_COLUMNS) + " |", "|" + " --- |" * len(_COLUMNS)]
    for rank, entry in _lines(ranking):
        row = [markdown_cell(text) for text in _cells(rank, entry)]
        if entry.winner:
            row[1] = f"**{row[1]}**"
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def markdown_cell(text: str) -> str:
    """Text that cannot leave its cell of a Markdown table."""
    return printable(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")


def printable(text: str) -> str:
    """On one line and without control characters: names and reasons come from untrusted replies."""
    return "".join(character if character.isprintable() else " " for character in text)


def _records(ranking: Ranking) -> list[dict[str, Any]]:
    ranks = {id(entry): rank for rank, entry in ranking.ranked}
    records = []
    for _, entry in _lines(ranking):
        record: dict[str, Any] = {
            "rank": ranks.get(id(entry)),
            "name": entry.name,
            "kind": entry.kind,
            "control": entry.control,
            "members": list(entry.members),
            "aggregation": entry.aggregation,
            "steps": entry.steps,
            "winner": entry.winner,
            "listed_apart": entry.listed_apart,
            "failure": entry.failure,
        }
        for split in ("validation", "test"):
            scores: Scores | None = getattr(entry, split)
            record[split] = None if scores is None else score_record(scores)
        record["suites"] = {found.suite: _suite_record(found) for found in entry.suites}
        records.append(record)
    return records


_FIGURES = (
    "accuracy",
    "f1",
    "precision",
    "extraction_rate",
    "accuracy_flexible",
    "f1_flexible",
    "precision_flexible",
    "extraction_rate_flexible",
)


def score_record(scores: Scores) -> dict[str, Any]:
    """Plain values in full precision, as JSON holds them."""
    record: dict[str, Any] = {"n": scores.n, "seeds": list(scores.seeds)}
    for figure in _FIGURES:
        estimate: Estimate | None = getattr(scores, figure)
        record[figure] = None if estimate is None else estimate._asdict()
    record["mean_completion_tokens"] = scores.mean_completion_tokens
    record["accuracy_by_seed"] = list(scores.accuracy_by_seed)
    record["accuracy_seed_std"] = scores.accuracy_seed_std
    return record


def _suite_record(found: SuiteScores) -> dict[str, Any]:
    estimates = {"gain": found.gain, "twins_gain": found.matched_gain, "gain_lost": found.gain_lost}
    return {
        **score_record(found.scores),
        "matched": None if found.matched is None else score_record(found.matched),
        **{name: None if estimate is None else estimate._asdict() for name, estimate in estimates.items()},
    }


def _csv(ranking: Ranking) -> str:
    columns = [
        "rank",
        "name",
        "kind",
        "control",
        "members",
        "aggregation",
        "steps",
        "winner",
        "listed_apart",
        "failure",
    ]
    rows = []
    for record in _records(ranking):
        row = {column: record[column] for column in columns}
        row["members"] = " ".join(record["members"])
        for split in ("validation", "test"):
            scores = record[split] or {}
            row[f"{split}_n"] = scores.get("n")
            row[f"{split}_seeds"] = " ".join(str(seed) for seed in scores.get("seeds", ()))
            for figure in _FIGURES:
                estimate = scores.get(figure) or {}
                for part in ("value", "low", "high"):
                    name = f"{split}_{figure}" + ("" if part == "value" else f"_{part}")
                    row[name] = estimate.get(part)
            row[f"{split}_mean_completion_tokens"] = scores.get("mean_completion_tokens")
        rows.append(row)
    output = io.StringIO()
    header = list(rows[0]) if rows else columns
    writer = csv.DictWriter(output, fieldnames=header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return output.getvalue()
