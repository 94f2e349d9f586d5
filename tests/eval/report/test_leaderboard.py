import csv
import io
import json

import pytest

from eval.report.data import Entry
from eval.report.leaderboard import format_estimate, format_leaderboard
from eval.report.ranking import rank_entries
from tests.eval.report.test_opening import scores

ENTRIES = (
    Entry(
        name="second",
        kind="ensemble",
        members=("a", "b"),
        aggregation="sum",
        steps=40,
        validation=scores(0.7),
        test=scores(0.8),
    ),
    Entry(name="first | <b>", kind="ensemble", validation=scores(0.8), test=scores(0.7), winner=True),
    Entry(name="tied", kind="single", validation=scores(0.7), test=scores(0.6)),
    Entry(name="long run", kind="ensemble", validation=scores(0.9), listed_apart="300 steps instead of 40"),
    Entry(name="crashed", kind="control", control="random draw 1 of 5", failure="out of\nmemory"),
    # Figures beside a failure must not count.
    Entry(name="impostor", kind="ensemble", validation=scores(0.95), failure="raised too often"),
    Entry(name="never run", kind="ensemble"),
)


def test_ranks_by_validation_with_ties_shared():
    ranking = rank_entries(ENTRIES)
    assert [(rank, entry.name) for rank, entry in ranking.ranked] == [(1, "first | <b>"), (2, "second"), (2, "tied")]
    assert [entry.name for entry in ranking.apart] == ["long run"]
    assert [entry.name for entry in ranking.unscored] == ["crashed", "impostor", "never run"]


def test_ranks_by_test_where_that_is_asked_for():
    ranking = rank_entries(ENTRIES, "test")
    assert [entry.name for _, entry in ranking.ranked] == ["second", "first | <b>", "tied"]
    assert "long run" in [entry.name for entry in ranking.unscored]


def test_nobody_shares_the_rank_after_a_tie():
    ranking = rank_entries([*ENTRIES, Entry(name="last", kind="single", validation=scores(0.1))])
    assert ranking.ranked[-1][0] == 4


def test_json_is_whole():
    records = json.loads(format_leaderboard(ENTRIES, "json"))
    assert [record["rank"] for record in records] == [1, 2, 2, None, None, None, None]
    second = records[1]
    assert second["validation"]["f1"]["value"] == 0.7
    assert second["validation"]["f1"]["low"] == pytest.approx(0.67)
    assert second["validation"]["seeds"] == [1, 2, 3]
    assert records[-1]["validation"] is None


def test_csv_has_empty_cells_for_what_is_not_scored():
    rows = list(csv.DictReader(io.StringIO(format_leaderboard(ENTRIES, "csv"))))
    assert rows[0]["name"] == "first | <b>"
    assert float(rows[0]["test_f1_low"]) == pytest.approx(0.67)
    never = rows[-1]
    assert never["rank"] == never["validation_f1"] == never["test_accuracy"] == ""


def test_markdown_has_one_line_per_entry_and_equal_columns():
    lines = format_leaderboard(ENTRIES, "md").splitlines()
    assert len(lines) == 2 + len(ENTRIES)
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert "**first \\| \\<b>**" in lines[2]


def test_table_keeps_figures_on_one_line_and_remarks_below():
    text = format_leaderboard(ENTRIES, "table")
    assert "0.700 [0.670, 0.730]" in text
    assert "crashed: random draw 1 of 5; unscored: out of memory" in text
    assert "long run: listed apart: 300 steps instead of 40" in text


def test_table_without_test_figures_has_no_test_columns():
    assert "test F1" not in format_leaderboard(ENTRIES[3:4], "table")


def test_eighty_columns_hold_names_and_f1_whole(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    table = format_leaderboard(ENTRIES, "table").split("\n\n")[0]
    assert max(map(len, table.splitlines())) <= 80
    assert "test F1" in table
    assert "test accuracy" not in table
    for entry in ENTRIES:
        assert entry.name in table
    monkeypatch.setenv("COLUMNS", "120")
    assert "test accuracy" in format_leaderboard(ENTRIES, "table")


def test_sixty_columns_hold_the_first_characters_of_names_and_the_test_figures(monkeypatch):
    name = "an-ensemble-whose-name-goes-on-and-on-and-on"
    monkeypatch.setenv("COLUMNS", "60")
    table = format_leaderboard([ENTRIES[0].model_copy(update={"name": name})], "table").split("\n\n")[0]
    rows = [line for line in table.splitlines() if "[" in line]
    assert len(rows[0]) <= 60
    assert name[:24] in rows[0]
    assert format_estimate(ENTRIES[0].test.f1) in rows[0]


def test_without_a_terminal_an_entry_is_a_line(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    name = "an-ensemble-whose-name-goes-on" * 8
    table = format_leaderboard([ENTRIES[0].model_copy(update={"name": name})], "table")
    assert next(format_estimate(ENTRIES[0].test.f1) in line for line in table.splitlines() if name in line)


@pytest.mark.parametrize("form", ["table", "md", "csv", "json"])
def test_an_empty_leaderboard_is_no_error(form):
    assert isinstance(format_leaderboard([], form), str)


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match="unknown leaderboard format"):
        format_leaderboard(ENTRIES, "xml")
