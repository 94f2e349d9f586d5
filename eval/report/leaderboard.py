"""The final leaderboard, written for terminals, Markdown, spreadsheets and programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from eval.report.data import Entry, Scores, SuiteScores, Transfer
from eval.report.ranking import Ranking, RankingSplit, rank_entries
from eval.report.table import Cell, Column, Table, printable, terminal_columns, wrapped
from eval.statistics.estimate import Estimate

LeaderboardFormat = Literal["table", "md", "csv", "json"]


def format_leaderboard(
    entries: Sequence[Entry], form: LeaderboardFormat = "table", split: RankingSplit = "validation"
) -> str:
    """The leaderboard as text. `table` is for a terminal of any width; `csv` and `json` hold full precision."""
    ranking = rank_entries(entries, split)
    if form == "table":
        return _text(ranking)
    if form == "md":
        return _table(_lines(ranking), remarks=True, opened=True).markdown()
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


def luck_words(scores: Iterable[Scores | None]) -> str:
    """What the brackets of trained entries hold, in half a sentence."""
    held = {found.luck for found in scores if found is not None} - {"untrained"}
    if held == {"both"}:
        return "brackets hold new questions and new training seeds"
    return "brackets hold questions only; training luck unknown"


def halves_words(scores: Scores) -> str | None:
    """How much of an interval is the luck of questions and how much that of seeds; None where it is not known apart."""
    if scores.accuracy_halves is None:
        return None
    questions, seeds = scores.accuracy_halves
    return (
        f"±{questions:.3f} of accuracy from {scores.n} questions, ±{seeds:.3f} from training seeds "
        f"({len(scores.seeds)} {'run' if len(scores.seeds) == 1 else 'runs'})"
    )


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


def _lines(ranking: Ranking) -> list[tuple[int | None, Entry]]:
    return [*ranking.scored, *((None, entry) for entry in ranking.unscored)]


def _table(lines: Sequence[tuple[int | None, Entry]], *, opened: bool, remarks: bool) -> Table:
    """`opened`: with the columns of the test split."""
    columns = [Column("rank"), Column("entry", "name"), Column("validation F1", spare=1 if opened else 0)]
    columns += [Column("test F1"), Column("test accuracy", spare=3)] if opened else []
    columns += [Column("answered", spare=5), Column("n", spare=4), Column("seeds", spare=2)]
    columns += [Column("remark", "name")] if remarks else []
    rows = []
    for rank, entry in lines:
        validation, test = entry.validation, entry.test
        row: list[str | Cell] = [str(rank or "—"), Cell(entry.name, strong=entry.winner)]
        row.append(format_estimate(validation.f1 if validation else None))
        if opened:
            row += [format_estimate(test.f1 if test else None), format_estimate(test.accuracy if test else None)]
        shown = test or validation
        answered = shown.extraction_rate if shown else None
        row.append(f"{answered.value:.3f}" if answered else "—")
        row += [str(shown.n), str(len(shown.seeds))] if shown else ["—", "—"]
        row += [entry_remark(entry)] if remarks else []
        rows.append(tuple(row))
    return Table(tuple(columns), tuple(rows))


def _text(ranking: Ranking) -> str:
    """The remarks stand below the table, which would be too wide with them."""
    lines = _lines(ranking)
    width = terminal_columns()
    said = _table(lines, opened=any(entry.test for _, entry in lines), remarks=False).text(width)
    held = [entry.test or entry.validation for _, entry in lines]
    said += wrapped(f"{luck_words(held)}.", width) if any(held) else ""
    first = next((scores for scores in held if scores and scores.accuracy_halves), None)
    said += wrapped(f"Of the first: {halves_words(first)}.", width) if first else ""
    return said + "".join(
        wrapped(f"{entry.name}: {remark}", width) for _, entry in lines if (remark := entry_remark(entry))
    )


_FIELDS = ("name", "kind", "control", "members", "aggregation", "steps", "winner", "listed_apart", "failure")


def _records(ranking: Ranking) -> list[dict[str, Any]]:
    return [
        {
            "rank": rank,
            **{field: getattr(entry, field) for field in _FIELDS},
            "validation": score_record(entry.validation),
            "test": score_record(entry.test),
            "suites": {found.suite: _suite_record(found) for found in entry.suites},
            "transfer": {found.setting: _transfer_record(found) for found in entry.transfer},
        }
        for rank, entry in _lines(ranking)
    ]


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


def score_record(scores: Scores | None) -> dict[str, Any] | None:
    """Plain values in full precision, as JSON holds them."""
    if scores is None:
        return None
    return {
        "n": scores.n,
        "seeds": scores.seeds,
        **{figure: _plain(getattr(scores, figure)) for figure in _FIGURES},
        "mean_completion_tokens": scores.mean_completion_tokens,
        "accuracy_by_seed": scores.accuracy_by_seed,
        "accuracy_seed_std": scores.accuracy_seed_std,
        "luck": scores.luck,
        "accuracy_halves": scores.accuracy_halves,
    }


def _plain(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else estimate._asdict()


def _suite_record(found: SuiteScores) -> dict[str, Any]:
    return {
        **(score_record(found.scores) or {}),
        "matched": score_record(found.matched),
        "gain": _plain(found.gain),
        "matched_gain": _plain(found.matched_gain),
        "gain_lost": _plain(found.gain_lost),
    }


def _transfer_record(found: Transfer) -> dict[str, Any]:
    return {
        "winner": score_record(found.winner),
        "control": score_record(found.control),
        "difference": _plain(found.difference),
        "luck": found.luck,
        "failure": found.failure,
    }


def _plain_cell(value: Any) -> Any:
    """Text that no spreadsheet takes for a formula, and no terminal for a command."""
    text = printable(value) if isinstance(value, str) else value
    return f"'{text}" if isinstance(text, str) and text.startswith(("=", "+", "-", "@")) else text


def _csv(ranking: Ranking) -> str:
    rows = []
    for record in _records(ranking):
        row = {field: record[field] for field in ("rank", *_FIELDS)}
        row["members"] = " ".join(record["members"])
        for split in ("validation", "test"):
            scores = record[split] or {}
            row[f"{split}_n"] = scores.get("n")
            row[f"{split}_seeds"] = " ".join(map(str, scores.get("seeds", ())))
            for figure in _FIGURES:
                estimate = scores.get(figure) or {}
                for part, ending in (("value", ""), ("low", "_low"), ("high", "_high")):
                    row[f"{split}_{figure}{ending}"] = estimate.get(part)
            row[f"{split}_mean_completion_tokens"] = scores.get("mean_completion_tokens")
        rows.append(row)
    output = io.StringIO()
    writer = csv.DictWriter(output, fieldnames=list(rows[0]) if rows else ["rank", *_FIELDS], lineterminator="\n")
    writer.writeheader()
    writer.writerows({field: _plain_cell(value) for field, value in row.items()} for row in rows)
    return output.getvalue()
