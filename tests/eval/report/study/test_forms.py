"""The three forms of a study's report."""

from __future__ import annotations

import json

import pytest

from eval.report.study.figures import difference_figure, trajectory_figure
from eval.report.study.page import cell, render_page
from eval.report.study.text import comparison_rows, difference, format_json, format_markdown, format_summary, verdict
from eval.report.templates import prose
from eval.statistics.replicates import compare_arms
from tests.eval.report.page import Page
from tests.eval.report.study.sample import made_study


def test_the_page_stands_alone_and_runs_nothing() -> None:
    page = Page(render_page(made_study()))
    assert page.unbalanced == []
    assert page.all("script") == []
    assert "default-src 'none'" in str(page.all("meta"))
    assert all(not str(link["href"]).startswith("http") for link in page.all("link"))
    for said in ("Does telling help?", "It is said to.", "One task only.", "Runs were made.", "told <script>"):
        assert said in page.words
    assert "<b>yes</b> & no" in page.words  # escaped, so it is text
    assert ("code", {}) in page.elements


def test_every_pair_and_every_mean_is_drawn_for_both_widths() -> None:
    page = Page(render_page(made_study()))
    drawn = [str(circle["class"]) for circle in page.all("circle")]
    assert drawn.count("point pair") == 2 * 3  # one of the four seeds has no pair
    assert drawn.count("point main") == 2 * (2 + 1)
    assert len([path for path in page.all("path") if str(path["class"]).startswith("run")]) == 2 * 8
    assert len(page.all("svg")) == 4


def test_figures_beyond_a_share_stay_on_the_axis_and_labels_beside_it() -> None:
    arms = {
        "fitted, with a rather long name": [-1.1, -1.4, -1.2],
        "predicted, with a rather long name": [0.1, 0.2, 0.1],
    }
    compared = compare_arms(arms, [("fitted, with a rather long name", "predicted, with a rather long name")])
    family = made_study().families[0].model_copy(update={"comparisons": compared})
    drawn = difference_figure(family, 1000)
    assert drawn is not None
    page = Page(str(drawn))
    label = next(text for text in page.all("text") if text["text-anchor"] == "start")
    width = 6 * len(" − ".join(arms))
    for circle in page.all("circle"):
        assert float(str(label["x"])) + width < float(str(circle["cx"])) < 1000


def test_arms_are_named_beside_their_lines_without_touching() -> None:
    figure = made_study().figures[0]
    means = figure.trajectories[0].means  # both arms end at the same height
    close = tuple(item.model_copy(update={"means": means}) for item in figure.trajectories)
    drawn = trajectory_figure(
        figure.model_copy(update={"trajectories": close}), {"told": "main", "untold": "other"}, 900
    )
    assert drawn is not None
    named = [text for text in Page(str(drawn)).all("text") if text["class"] in ("label main", "label other")]
    heights = [float(str(text["y"])) for text in named]
    assert len(heights) == 2
    assert abs(heights[0] - heights[1]) >= 12


def test_without_a_pair_there_is_no_figure_of_differences() -> None:
    nothing = compare_arms({"told": [None, None], "untold": [0.5, 0.4]}, [("told", "untold")])
    family = made_study().families[0].model_copy(update={"comparisons": nothing})
    page = Page(render_page(made_study(families=(family,), figures=())))
    assert page.all("svg") == []
    assert "too few pairs" in page.words


@pytest.mark.parametrize("form", [render_page, format_markdown, format_summary])
def test_an_unfinished_study_says_so(form: object) -> None:
    assert callable(form)
    assert "not over" in form(made_study(complete=False))
    assert "not over" not in form(made_study())


def test_markdown_has_every_table_and_keeps_cells_in_their_columns() -> None:
    table = made_study().tables[0].model_copy(update={"rows": (("a | b", "0.5"),)})
    text = format_markdown(made_study(tables=(table,)))
    lines = [line for line in text.splitlines() if line.startswith("| a ")]
    assert len(lines) == 1
    assert lines[0].replace("\\|", "").count("|") == 3
    assert "| told − untold | 3 | " in text


def test_json_holds_full_precision_and_what_was_measured() -> None:
    report = made_study()
    record = json.loads(format_json(report, {"versions": {"x": "1"}}))
    comparison = record["families"][0]["comparisons"][0]
    estimate = report.families[0].comparisons[0].estimate
    assert estimate is not None
    assert comparison["estimate"]["value"] == estimate.value
    assert comparison["differences"][3] is None
    assert record["units"] == {"seed-0-told": {"f1": 0.5}}
    assert record["versions"] == {"x": "1"}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ([0.9, 0.91, 0.92, 0.9], [0.5, 0.52, 0.5, 0.51], "higher"),
        ([0.5, 0.52, 0.5, 0.51], [0.9, 0.91, 0.92, 0.9], "lower"),
        ([0.5, 0.9, 0.4, 0.7], [0.6, 0.7, 0.5, 0.6], "open"),
        ([0.5, None], [0.6, 0.7], "open"),
    ],
)
def test_the_verdict_follows_the_corrected_t_test(
    first: list[float | None], second: list[float | None], said: str
) -> None:
    (comparison,) = compare_arms({"a": first, "b": second}, [("a", "b")])
    assert verdict(comparison, 0.05) == said


def test_a_comparison_shows_what_the_exact_test_could_have_said() -> None:
    (row,) = comparison_rows(made_study().families[0], 0.05)
    assert row[1] == "3"
    assert row[5] == "0.250"  # 2 / 2^3


def test_pairs_that_do_not_differ_have_no_interval() -> None:
    (comparison,) = compare_arms({"a": [0.5, 0.6], "b": [0.5, 0.6]}, [("a", "b")])
    assert difference(comparison) == "+0.000 (the same in every pair)"
    assert verdict(comparison, 0.05) == "open"


def test_prose_and_cells() -> None:
    assert prose("take `a<b` or not") == "take <code>a&lt;b</code> or not"
    assert prose("one ` alone") == "one ` alone"
    assert cell("0.5 [0.4, 0.6]") == '<span class="value">0.5</span> <span class="interval">[0.4, 0.6]</span>'
    assert cell("<i>") == "&lt;i&gt;"
