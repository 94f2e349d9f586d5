import io
import math
import xml.etree.ElementTree as ElementTree
from functools import cache
from itertools import pairwise

import pytest
from PIL import Image

from eval.report.candidates import weight_figures
from eval.report.data import Candidate, MemberWeight, ReportData, RunFacts
from eval.report.figures.figure import FORMATS, METADATA, blank, paper_style, write_figures
from eval.report.figures.lineage import Ancestor, Descent, LineageFigure
from eval.report.figures.splits import label_places
from eval.report.figures.weights import weight_points
from eval.report.illustrations import (
    figures,
    forest_figure,
    lineage_figure,
    samples_figure,
    time_figure,
    training_figure,
)
from rewards_generated.schedule import Schedule
from tests.eval.report.sample import sample_report


@pytest.fixture(scope="module")
def data():
    return sample_report(rounds=2, per_round=6, seeds=(1,), questions=60)


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    target = tmp_path_factory.mktemp("figures") / "new"
    write_figures(figures(data), target)
    return target


def test_every_figure_is_written_in_every_format(data, folder):
    names = {figure.name for figure in figures(data)}
    assert {"f1-by-round", "forest", "validation-against-test", "pairwise", "training", "time"} <= names
    assert {file.name for file in folder.iterdir()} == {f"{name}.{form}" for name in names for form in FORMATS}


def test_the_files_are_what_they_are_called(folder):
    for file in folder.glob("*.svg"):
        assert ElementTree.parse(file).getroot().tag.endswith("svg")
    for file in folder.glob("*.png"):
        with Image.open(file) as image:
            assert image.width > 600
            assert image.info["dpi"][0] == pytest.approx(300, abs=1)
            assert len(image.convert("L").getcolors()) > 2
    for file in folder.glob("*.pdf"):
        assert file.read_bytes().startswith(b"%PDF-")


def test_svg_files_hold_their_words_as_text_and_every_entry_of_the_forest(data, folder):
    words = " ".join(ElementTree.parse(folder / "forest.svg").getroot().itertext())
    for entry in data.entries:
        assert (entry.name in words) == (entry.failure is None)


def drawn(figure):
    """As an SVG file."""
    file = io.BytesIO()
    with paper_style():
        figure.paper().savefig(file, format="svg", metadata=METADATA["svg"])
    return file.getvalue()


def test_the_same_run_gives_the_same_svg(data):
    assert drawn(forest_figure(data)) == drawn(forest_figure(data))


def test_names_with_dollar_signs_are_no_formulas(data):
    named = data.entries[0].model_copy(update={"name": "$\\frac{"})
    figure = forest_figure(data.model_copy(update={"entries": (named,)}))
    assert "$\\frac{" in " ".join(ElementTree.fromstring(drawn(figure)).itertext())


@cache
def small_sample():
    return sample_report(1, 3, seeds=(1,), questions=50)


def candidate(name, number, *parents, f1=True):
    scores = small_sample().entries[0].validation if f1 else None
    status = "screened" if f1 else "failed"
    return Candidate(name=name, identity=name, round=number, status=status, parents=parents, scores=scores)


def report(*candidates, **fields):
    return ReportData(run=RunFacts(name="r", task="t", base_model="m"), candidates=candidates, **fields)


def test_what_is_no_letter_is_shown_and_leaves_the_files_whole(tmp_path):
    class Named:
        name = "named"

        def paper(self):
            figure, axes = blank(3, 2)
            axes.plot([0, 1], label="of \x07 a line")
            axes.legend()
            axes.set_xticks([0, 1], ["\x1b[31m", "\ud800"])
            return figure

    write_figures([Named()], tmp_path)
    words = "".join(ElementTree.parse(tmp_path / "named.svg").getroot().itertext())
    assert all(shown in words for shown in ("of ⟨U+0007⟩ a line", "⟨U+001B⟩[31m", "⟨U+D800⟩"))


def test_lineage_holds_all_ancestors_and_nobody_else():
    data = report(
        candidate("a", 1, "old"),
        candidate("b", 1, f1=False),
        candidate("unrelated", 1),
        candidate("c", 2, "a", "b"),
        candidate("d", 3, "c", "a"),
        older={"old": "repair"},
    ).model_copy()
    winner = (
        sample_report(1, 3, seeds=(1,), questions=50)
        .entries[0]
        .model_copy(update={"winner": True, "members": ("d",), "failure": None})
    )
    figure = lineage_figure(data.model_copy(update={"entries": (winner,)}))
    found = {ancestor.label: ancestor for ancestor in figure.ancestors}
    assert set(found) == {"a", "b", "c", "d", "repair"}
    assert [label for label, ancestor in found.items() if ancestor.member] == ["d"]
    assert (found["repair"].round, found["repair"].anchor, found["b"].f1) == (0, None, None)
    labels = [ancestor.label for ancestor in figure.ancestors]
    drawn = {(labels[d.parent], labels[d.child]) for d in figure.descents}
    assert drawn == {("repair", "a"), ("a", "c"), ("b", "c"), ("c", "d"), ("a", "d")}


def test_no_lineage_where_nobody_descends_from_anybody():
    assert lineage_figure(report(candidate("a", 1), candidate("b", 2))) is None


def test_records_that_go_in_a_circle_do_not_hang():
    assert lineage_figure(report(candidate("a", 1, "b"), candidate("b", 1, "a"))) is None


def test_a_line_over_several_columns_has_places_of_its_own_there():
    ancestors = [Ancestor(name, None, number, 0.5, False) for name, number in (("a", 1), ("b", 2), ("c", 3))]
    layout = LineageFigure(tuple(ancestors), (Descent(0, 1), Descent(1, 2), Descent(0, 2))).layout()
    passage = layout.routes[2][1]
    assert passage[0] == 1
    assert passage != layout.places[1]
    assert len({*layout.places, passage}) == 4


def test_a_line_is_not_crossed_needlessly():
    ancestors = [
        Ancestor(name, None, int(name[1]), f1, False)
        for name, f1 in (("a1", 0.9), ("b1", 0.1), ("a2", 0.1), ("b2", 0.9))
    ]
    (_, a1), (_, b1), (_, a2), (_, b2) = LineageFigure(tuple(ancestors), (Descent(0, 2), Descent(1, 3))).layout().places
    assert (a1 < b1) == (a2 < b2)


def test_labels_keep_clear_of_points_and_of_each_other():
    dots = [(100.0, 100.0), (104.0, 101.0), (97.0, 104.0), (101.0, 95.0)]
    places = label_places(dots)
    assert all(math.dist(place, dot) > 8 for place in places for dot in dots)
    assert all(math.dist(a, b) > 8 for k, a in enumerate(places) for b in places[:k])


def test_training_shows_every_scored_candidate_and_marks_the_winners(data):
    figure = training_figure(data)
    winner = next(entry for entry in data.entries if entry.winner)
    for name, curves in figure.panels:
        assert ":" not in name
        assert len(curves) == sum(c.scores is not None for c in data.candidates)
        assert {curve.label for curve in curves if curve.marked} == set(winner.members)


def test_samples_count_questions_by_right_samples(data):
    figure = samples_figure(data)
    assert sum(figure.counts) == len(data.base_samples.questions)
    assert figure.counts[0] == sum(question.right == 0 for question in data.base_samples.questions)


def test_nothing_is_drawn_of_nothing():
    assert figures(report()) == []
    assert time_figure(report()) is None


def test_weights_of_a_set_follow_their_schedules_on_one_axis():
    fading = MemberWeight(name="guide", weight=1.0, schedule=Schedule(kind="linear", to=-0.5))
    late = MemberWeight(name="late", weight=0.25, schedule=Schedule(kind="switch", to=2.0, at=0.4))
    steady = MemberWeight(name="steady", weight=0.5)
    drawn = [ElementTree.fromstring(figure) for figure in weight_figures((fading, late, steady))]
    assert [figure.get("aria-label") for figure in drawn] == [
        "weight of guide: 1 to -0.5 over the run",
        "weight of late: 0.25 to 2 after 40% of the steps",
        "weight of steady: 0.5 all over the run",
    ]
    lines = [figure.find("path").get("d").replace("M", "").replace("L", "").split() for figure in drawn]
    (x0, y1, x1, below), late_line, steady_line = ([float(number) for number in line] for line in lines)
    zero = {float(figure.find("line").get("y1")) for figure in drawn}
    assert len(zero) == 1, "one axis for all"
    unit = zero.pop() - y1
    assert below == pytest.approx(y1 + 1.5 * unit, abs=0.2)
    turn = x0 + 0.4 * (x1 - x0)
    assert late_line[0::2] == pytest.approx([x0, turn, turn, x1], abs=0.1)
    quarter, double = y1 + 0.75 * unit, y1 - unit
    assert late_line[1::2] == pytest.approx([quarter, quarter, double, double], abs=0.2)
    assert steady_line[1::2] == pytest.approx([y1 + 0.5 * unit] * 2, abs=0.2)
    for other in (fading, late):
        for share in (0.0, 0.2, 0.39, 0.41, 0.9, 1.0):
            (before, low), (after, high) = next(
                pair for pair in pairwise(weight_points(other)) if pair[0][0] <= share <= pair[1][0]
            )
            height = low + (high - low) * (share - before) / (after - before)
            assert height == pytest.approx(other.schedule.weight(other.weight, share))
