"""The pre-screen in a search: what is measured before training, what is not trained, and what a resume redoes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import search.rounds.checks
from search.cli import main
from search.config.source import parse_config
from search.ledger import Ledger
from search.proposers.base import Proposal, ProposalBatch, ProposalRequest
from search.results.ranking import Outcome, outcomes, ranked
from tests.search.searches import rows, run_search

ROLLOUTS = {"rounds": 2, "candidates_per_round": 3, "base_rollouts": {"questions": 20, "per_question": 8}}


def code(reward: str, comment: str = "Pays for something.") -> str:
    return (
        f'def reward(prompt: str, completion: str, answer: str) -> float:\n    """{comment}"""\n    return {reward}\n'
    )


RIGHT = "1.0 if f'<solution>{answer}</solution>' in completion else 0.0"
TERSE = f"({RIGHT}) - 0.02 * completion.count('=')"
ROUNDS = {
    1: {"right": RIGHT, "terse": TERSE, "right-again": RIGHT.replace("1.0 if", "0.5 * 2 if")},
    2: {
        "terse-again": f"{TERSE} * 1.00001",
        "odd": f"({RIGHT}) + 0.01 * (completion.count('=') % 2)",
        "right-nearly": RIGHT.replace("1.0 if", "1.001 if"),
    },
}
REQUESTS: list[ProposalRequest] = []


class RepeatingProposer:
    """Proposes the rewards of `ROUNDS`: some are others in other words, and no two are the same code."""

    name = "repeating"

    def propose(self, request: ProposalRequest) -> ProposalBatch:
        REQUESTS.append(request)
        return ProposalBatch(
            tuple(Proposal(name, code(reward), "test", family="x") for name, reward in ROUNDS[request.round].items())
        )


def repeating(folder: Path, **changes: Any) -> Path:
    exit_code, run = run_search(
        folder,
        **{"search": ROLLOUTS, "proposer": {"name": "tests.search.rounds.test_prescreen:RepeatingProposer"}, **changes},
    )
    assert exit_code == 0
    return run


def every(run: Path) -> dict[str, Outcome]:
    ledger = Ledger.open(run)
    try:
        found = outcomes(parse_config(ledger.fact("config")), ledger)
    finally:
        ledger.close()
    return {outcome.candidate.name: outcome for outcome in found}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    REQUESTS.clear()
    return repeating(tmp_path_factory.mktemp("prescreen"))


@pytest.fixture(scope="module")
def requests(run: Path) -> list[ProposalRequest]:
    """What the proposer was asked in that search."""
    return REQUESTS[:2]


def test_near_duplicates_are_neither_trained_nor_ranked(run: Path) -> None:
    found = every(run)
    duplicates = {name for name, outcome in found.items() if outcome.status == "duplicate"}
    assert duplicates == {"right-again", "terse-again", "right-nearly"}
    trained = {row[0] for row in rows(run, "SELECT subject FROM jobs WHERE stage='screening'")}
    assert not trained & duplicates
    assert {outcome.candidate.name for outcome in ranked(list(found.values()))} == set(found) - duplicates
    members = {name for row in rows(run, "SELECT candidates FROM ensembles") for name in json.loads(row[0])}
    assert not members & duplicates


def test_a_reason_names_the_earlier_candidate(run: Path) -> None:
    found = every(run)
    for name, other in (("right-again", "right"), ("terse-again", "terse"), ("right-nearly", "right")):
        (reason,) = found[name].reasons
        assert f"ranks them like {other!r}" in reason


def test_what_differs_in_some_ranks_is_trained(run: Path) -> None:
    assert every(run)["odd"].status == "screened"


def test_figures_of_every_accepted_candidate_are_kept(run: Path) -> None:
    found = every(run)
    assert all(outcome.prescreening is not None for outcome in found.values())
    right = found["right"].prescreening
    assert right is not None
    assert right.auc is not None
    assert (right.rollouts, right.auc.value, right.closest) == (160, 1.0, None)
    scores = json.loads(rows(run, "SELECT scores FROM prescreenings WHERE candidate='right'")[0][0])
    assert len(scores) == 160
    assert set(scores) == {0.0, 1.0}


def test_the_next_round_is_told_figures_and_duplicates(requests: list[ProposalRequest]) -> None:
    first, second = (asked.feedback for asked in requests)
    assert all(asked.rejects_duplicates for asked in requests)
    assert (first.ranked, first.failed) == ((), ())
    assert {item.name for item in second.ranked} == {"right", "terse"}
    assert all(item.prescreening and item.prescreening.auc for item in second.ranked)
    assert [(item.name, item.duplicate) for item in second.failed] == [("right-again", True)]


def test_status_and_report_show_them(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(run)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "3 screened, 0 rejected, 3 duplicate, 0 failed, 0 pending" in text
    assert "right-again (round 1) duplicate: near-duplicate: on 160 completions" in text
    assert "before training, on rollouts of the base policy" in text
    assert "1.000 [" in text
    report = " ".join((run / "report.html").read_text(encoding="utf-8").split())
    assert "Before training, on 160 rollouts of the base policy" in report
    assert "3 were not trained, because ranks and group-relative advantages were those of an earlier one" in report


@pytest.mark.slow
def test_nothing_is_rejected_without_a_threshold(tmp_path: Path) -> None:
    run = repeating(tmp_path, prescreen={"duplicate_correlation": None})
    found = every(run)
    assert {outcome.status for outcome in found.values()} == {"screened"}
    assert not REQUESTS[-1].rejects_duplicates
    again = found["right-again"].prescreening
    assert again is not None
    assert again.closest is not None
    assert (again.closest.name, again.closest.rank_correlation) == ("right", 1.0)


def test_switched_off_it_measures_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = repeating(tmp_path, prescreen={"enabled": False})
    assert {outcome.status for outcome in every(run).values()} == {"screened"}
    assert rows(run, "SELECT COUNT(*) FROM prescreenings") == [(0,)]
    capsys.readouterr()
    assert main(["status", str(run)]) == 0
    assert "before training" not in capsys.readouterr().out


def test_a_duplicate_of_one_whose_run_failed_is_trained(tmp_path: Path) -> None:
    """Those of the same round are compared before any of them is trained."""
    run = repeating(tmp_path, executor={"options": {"fail": "screening terse,"}})
    found = every(run)
    assert found["terse"].status == "failed"
    assert found["terse-again"].status == "screened"
    assert found["right-nearly"].status == "duplicate"


@pytest.mark.slow
def test_an_interrupted_search_resumes_to_the_same_end_and_scores_nothing_twice(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[str] = []
    score = search.rounds.checks.score_rollouts

    def counted(name: str, *arguments: Any) -> list[float | None]:
        scored.append(name)
        if len(scored) == 5:
            raise KeyboardInterrupt
        return score(name, *arguments)

    monkeypatch.setattr(search.rounds.checks, "score_rollouts", counted)
    code, again = run_search(
        tmp_path, search=ROLLOUTS, proposer={"name": "tests.search.rounds.test_prescreen:RepeatingProposer"}
    )
    assert code == 130
    assert main(["run", "--run-dir", str(again), "--resume"]) == 0
    assert scored == [*ROUNDS[1], "terse-again", "odd", "odd", "right-nearly"]
    query = "SELECT candidate, duplicate, prescreening, scores FROM prescreenings ORDER BY rowid"
    assert rows(again, query) == rows(run, query)
    board = "leaderboard.json"
    assert (again / board).read_text(encoding="utf-8") == (run / board).read_text(encoding="utf-8")
