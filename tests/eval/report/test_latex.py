import re

import pytest

from eval.report.latex import escape_latex, latex_leaderboard
from tests.eval.report.sample import sample_report
from tests.eval.report.test_opening import entry


@pytest.mark.parametrize(
    ("words", "escaped"),
    [
        ("a_b & 50 %", r"a\_b \& 50 \%"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("x^2 ~ $y$ #1", r"x\textasciicircum{}2 \textasciitilde{} \$y\$ \#1"),
        ("two\nlines", "two lines"),
    ],
)
def test_special_characters_are_escaped(words, escaped):
    assert escape_latex(words) == escaped


def test_entries_stand_above_controls_with_the_winner_in_bold():
    table = latex_leaderboard(
        [entry("base", 0.7, 0.71, kind="control"), entry("top_5", 0.8, 0.79, winner=True), entry("top-3", 0.75, 0.74)],
        "validation",
    )
    lines = [line.strip() for line in table.splitlines()]
    first = lines.index(r"\midrule")
    second = lines.index(r"\midrule", first + 1)
    assert [row.split(" & ")[1] for row in lines[first + 1 : second]] == [r"\textbf{top\_5}", "top-3"]
    assert lines[second + 1].startswith("3 & base & $0.700$ $[0.670, 0.730]$ & $0.710$ $[0.680, 0.740]$")


def test_every_row_has_as_many_cells_as_the_table_has_columns():
    table = latex_leaderboard(sample_report(1, 3, seeds=(1,), questions=50).entries, "validation")
    columns = re.search(r"begin{tabular}{([lr]+)}", table).group(1)
    rows = [line for line in table.splitlines() if line.endswith(r"\\")]
    assert len(rows) > 5
    assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(columns)}
    assert "random-5 (4)" not in table  # it failed
