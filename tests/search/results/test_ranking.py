"""Equal scores stand in one order wherever a search shows them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence

from rich.console import Console

from eval.audit import NEVER_VARIED
from eval.report.data import Candidate as ReportCandidate
from eval.report.data import Entry, Flag, ReportData, RunFacts, Scores
from eval.report.leaderboard import format_leaderboard
from eval.report.ranking import rank_entries, shared_ranks
from eval.report.render import render
from eval.report.scores import score_runs
from search.config.source import parse_config
from search.finals.ensembles import choose_ensembles
from search.ledger import Candidate
from search.results.ranking import Outcome, _unless_constant, ranked
from search.results.tables import outcomes_table
from search.rounds.feedback import build_feedback
from tests.eval.report.sample import simulated_runs
from tests.search.searches import reward_code, small_config

ORDER = ["best", "b-early", "a-late", "c-late"]
"""The last three have equal scores."""
RANKS = [1, 2, 2, 2]
CONTROL = "base-alone"


def scores(accuracy: float) -> Scores:
    found = score_runs(simulated_runs(accuracy, (1,), 60))
    assert found is not None
    return found


TIED = scores(0.6)


def candidate(name: str, number: int, round_: int) -> Candidate:
    return Candidate(name, round_, number, name, reward_code(number), "test", "", "correctness", ())


def outcomes() -> list[Outcome]:
    found = {"c-late": (2, TIED), "best": (2, scores(0.9)), "b-early": (1, TIED), "a-late": (2, TIED)}
    return [
        Outcome(candidate(name, number, round_), "screened", own, (), None, None)
        for number, (name, (round_, own)) in enumerate(found.items())
    ]


def report(every: Sequence[Outcome], board: Sequence[Entry]) -> ReportData:
    return ReportData(
        run=RunFacts(name="r", task="t", base_model="m"),
        candidates=tuple(
            ReportCandidate(
                name=o.candidate.name,
                identity=o.candidate.name,
                round=o.candidate.round,
                status="screened",
                scores=o.scores,
            )
            for o in every
        ),
        entries=tuple(board),
    )


def test_ranking_feedback_and_ensembles_agree() -> None:
    every = outcomes()
    assert [o.candidate.name for o in ranked(every)] == ORDER
    assert shared_ranks(o.scores for o in ranked(every)) == RANKS
    assert [row.name for row in build_feedback("ranked", every, 0).ranked] == ORDER
    best = [o.candidate for o in ranked(every)]
    top, *_ = choose_ensembles(parse_config(small_config()), best, lambda members: tuple(members))
    assert list(top.candidates) == ORDER[:2]


def test_status_leaderboards_and_page_agree() -> None:
    every = outcomes()
    ranks = list(zip(map(str, RANKS), ORDER, strict=True))
    written = io.StringIO()
    Console(width=80, file=written).print(outcomes_table(every, {CONTROL: TIED}))
    cells = [tuple(line.split()[:2]) for line in written.getvalue().splitlines()]
    assert [row for row in cells if row[1:] and row[1] in (*ORDER, CONTROL)] == [ranks[0], ("—", CONTROL), *ranks[1:]]

    board = [
        *(Entry(name=o.candidate.name, kind="single", round=o.candidate.round, validation=o.scores) for o in every),
        Entry(name=CONTROL, kind="control", validation=TIED),
    ]
    expected = ["best", CONTROL, *ORDER[1:]]
    records = json.loads(format_leaderboard(board, "json"))
    assert [record["name"] for record in records] == expected
    assert [record["rank"] for record in records] == [1, 2, 2, 2, 2]
    for form in ("table", "md", "csv"):
        assert re.findall(rf"\b({'|'.join(expected)})\b", format_leaderboard(board, form))[:5] == expected

    page = render(report(every, board))
    assert re.findall(r'<span class="name">(\d)\. ([\w-]+)', page) == ranks
    rows = page[page.index('class="full sortable leaderboard"') :]
    assert re.findall(r'<span class="name">([\w-]+)</span>', rows[: rows.index("</table>")]) == expected


def test_the_named_winner_stands_first_among_its_equals_only() -> None:
    named = Entry(name="z", kind="ensemble", validation=TIED, winner=True)
    others = [Entry(name="a", kind="ensemble", validation=TIED), Entry(name="b", kind="single", validation=scores(0.9))]
    assert [entry.name for _, entry in rank_entries([*others, named]).ranked] == ["b", "z", "a"]


def test_of_equal_f1_the_higher_accuracy_stands_first_and_rounding_decides_nothing() -> None:
    lower = TIED.accuracy._replace(value=TIED.accuracy.value - 0.01)
    noise = TIED.f1._replace(value=TIED.f1.value + 1e-15)
    assert noise.value > TIED.f1.value
    found = rank_entries(
        [
            Entry(name="a", kind="single", validation=TIED.model_copy(update={"accuracy": lower, "f1": noise})),
            Entry(name="b", kind="single", validation=TIED),
        ]
    ).ranked
    assert [(rank, entry.name) for rank, entry in found] == [(1, "b"), (1, "a")]


def test_what_never_varied_in_training_is_not_ranked_as_if_it_had_been_tried() -> None:
    constant = Flag(name=NEVER_VARIED, detail="it gave 0 to every completion", value=0.0, threshold=0.0)
    tried, *_ = outcomes()
    untried = _unless_constant(tried, (constant,))
    assert (untried.status, untried.scores, untried.reasons) == ("failed", None, (constant.detail,))
    assert untried.flags == (constant,)
    assert ranked([untried]) == []
    other = Flag(name="length drift", detail="", value=1.0, threshold=0.5)
    assert _unless_constant(tried, (other,)).scores is tried.scores
