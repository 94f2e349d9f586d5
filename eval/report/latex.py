"""The leaderboard as a LaTeX table."""

from __future__ import annotations

from eval.report.data import Entry
from eval.report.ranking import RankingSplit, rank_entries
from eval.report.table import printable
from eval.report.text import number
from eval.statistics.estimate import Estimate

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    '"': r"\textquotedbl{}",
}


def escape_latex(words: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in printable(words))


def latex_leaderboard(entries: tuple[Entry, ...] | list[Entry], split: RankingSplit) -> str:
    """A `table` for the packages booktabs and (for quotation marks) T1 fonts: entries first, controls below a rule."""
    lines = [(str(rank or "--"), entry) for rank, entry in rank_entries(entries, split).scored]
    opened = any(entry.test for _, entry in lines)
    head = ["", "Entry", "F1 (validation)"] + (["F1 (test)", "Accuracy (test)"] if opened else ["Accuracy"]) + ["Seeds"]
    groups = [[line for line in lines if (line[1].kind == "control") == controls] for controls in (False, True)]
    body = [[_row(rank, entry, opened) for rank, entry in group] for group in groups if group]
    out = [
        r"\begin{table}",
        r"  \centering",
        rf"  \begin{{tabular}}{{rl{'l' * (len(head) - 3)}r}}",
        r"    \toprule",
        "    " + " & ".join(head) + r" \\",
        r"    \midrule",
    ]
    for k, rows in enumerate(body):
        out += [r"    \midrule"] if k else []
        out += ["    " + row for row in rows]
    out += [r"    \bottomrule", r"  \end{tabular}", r"\end{table}"]
    return "\n".join(out) + "\n"


def _row(rank: str, entry: Entry, opened: bool) -> str:
    shown = entry.test if opened else entry.validation
    name = escape_latex(entry.name)
    cells = [rank, rf"\textbf{{{name}}}" if entry.winner else name]
    cells.append(_estimate(entry.validation.f1 if entry.validation else None))
    if opened:
        cells.append(_estimate(entry.test.f1 if entry.test else None))
    cells.append(_estimate(shown.accuracy if shown else None))
    cells.append(str(len(shown.seeds)) if shown else "--")
    return " & ".join(cells) + r" \\"


def _estimate(estimate: Estimate | None) -> str:
    if estimate is None:
        return "--"
    value, low, high = (number(v).replace("−", "-") for v in (estimate.value, estimate.low, estimate.high))
    return f"${value}$ $[{low}, {high}]$"
