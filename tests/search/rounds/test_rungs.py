"""Scores of different rungs: kept apart in the ledger, and never ranked together anywhere."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from eval.prediction import Prediction
from eval.report.render import render
from rewards_generated.gate.verdict import Verdict
from search.config.models import SearchConfig
from search.config.seeds import screening_seeds
from search.config.source import parse_config
from search.finals.ensembles import choose_ensembles
from search.jobs.descriptions import screening_run
from search.ledger import Candidate, Ledger
from search.results.ranking import Outcome, outcomes, ranked, stopped
from search.results.report import leaderboard_text, report_data
from search.results.tables import outcomes_table
from search.rounds.feedback import build_feedback
from tests.search.searches import reward_code, small_config
from trainer.jobs.train import RunResult

QUESTIONS = 40


def answers(right: int) -> tuple[Prediction, ...]:
    return tuple(
        Prediction(
            id=f"q{k}",
            completion=f"{right} {k}",
            strict="1",
            flexible="1",
            correct=k < right,
            correct_flexible=k < right,
            completion_tokens=5,
        )
        for k in range(QUESTIONS)
    )


@pytest.fixture
def config() -> SearchConfig:
    return parse_config(small_config(screening={"seeds": 2}))  # 5 steps


def proposed(name: str, place: int = 1) -> Candidate:
    return Candidate(name, 1, place, f"id{place}", reward_code(place), "test", "", "", parents=())


@pytest.fixture
def ledger(tmp_path: Path, config: SearchConfig) -> Iterator[Ledger]:
    facts = {"config": config.plain(), "config_digest": "x", "sandbox": {"level": "standard", "python": "3"}}
    opened = Ledger.create(tmp_path / "run", {**facts, "versions": {}, "hardware": "h"})
    names = ["full", "best-at-4", "worse-at-4", "best-at-2", "failed"]
    candidates = [proposed(name, place) for place, name in enumerate(names)]
    opened.record_round(1, 5, candidates, [], 0.1)
    for name in names:
        opened.record_verdict(name, {name: Verdict(accepted=True, identity=name, checks=())})
    # The further it was trained the fewer it gets right: whoever mixes rungs ranks the stopped ones first.
    scores: dict[str, dict[int | None, int]] = {
        "full": {2: 30, 4: 20, None: 10},
        "best-at-4": {2: 30, 4: 25},
        "worse-at-4": {2: 30, 4: 22},
        "best-at-2": {2: 35},
    }
    for name, by_rung in scores.items():
        record(opened, config, name, by_rung)
    record(opened, config, "failed", {2: 39}, failure="its reward raised too often")
    yield opened
    opened.close()


def record(
    ledger: Ledger, config: SearchConfig, name: str, by_rung: dict[int | None, int], failure: str | None = None
) -> None:
    for seed in screening_seeds(config.seed, 2):
        job = screening_run(config, name, proposed(name), seed)
        for rung, right in by_rung.items():
            if rung is not None:
                so_far = RunResult(digest=job.digest, predictions=answers(right))
                ledger.record_rung("screening", name, job, rung, so_far, "validation")
        at_end = answers(by_rung[None]) if None in by_rung else ()
        result = RunResult(
            digest=job.digest, predictions=at_end, failure=failure, owner="candidate" if failure else None
        )
        ledger.record_training("screening", name, job, result, "validation")


def every(config: SearchConfig, ledger: Ledger) -> dict[str, Outcome]:
    return {outcome.candidate.name: outcome for outcome in outcomes(config, ledger)}


def test_predictions_come_back_by_rung(ledger: Ledger) -> None:
    assert ledger.rungs("screening", "full", "validation") == [2, 4]
    for rung, right in ((2, 30), (4, 20), (None, 10)):
        runs = ledger.predictions("screening", "full", "validation", rung)
        assert len(runs) == 2
        assert {sum(p.correct for p in run) for run in runs.values()} == {right}
    assert ledger.predictions("screening", "best-at-2", "validation") == {}
    assert {item.rung for item in ledger.evaluations("screening") if item.subject == "full"} == {2, 4, None}


def test_a_rung_is_recorded_once_and_lies_below_the_jobs_steps(ledger: Ledger, config: SearchConfig) -> None:
    for rung in (0, 5, 6):
        with pytest.raises(ValueError, match=f"rung {rung} of new is not below the 5 steps"):
            record(ledger, config, "new", {rung: 3})
    assert ledger.rungs("screening", "new", "validation") == []
    with pytest.raises(Exception, match="UNIQUE"):
        record(ledger, config, "full", {2: 3})


def test_a_rung_without_a_score_is_no_rung(ledger: Ledger, config: SearchConfig) -> None:
    job = screening_run(config, "new", proposed("new"), 1)
    for failure, predictions in ((None, ()), ("its reward raised too often", answers(3))):
        result = RunResult(
            digest=job.digest, failure=failure, owner="candidate" if failure else None, predictions=predictions
        )
        with pytest.raises(ValueError, match="new has no score at rung 2"):
            ledger.record_rung("screening", "new", job, 2, result, "validation")


def test_what_a_run_had_come_to_at_a_rung_is_kept_without_its_predictions(ledger: Ledger, config: SearchConfig) -> None:
    seed = screening_seeds(config.seed, 2)[0]
    job = screening_run(config, "kept", proposed("kept"), seed)
    curves = ({"step": 1, "reward_mean": 0.5},)
    result = RunResult(digest=job.digest, curves=curves, predictions=answers(3))
    ledger.record_rung("screening", "kept", job, 2, result, "validation")
    assert ledger.rung_result("screening", "kept", seed, 2) == result.model_copy(update={"predictions": ()})
    assert ledger.rung_result("screening", "kept", seed, 4) is None


def test_outcomes_say_at_which_rung_a_candidate_was_stopped(ledger: Ledger, config: SearchConfig) -> None:
    found = every(config, ledger)
    assert {name: (s.status, s.rung) for name, s in found.items()} == {
        "full": ("screened", None),
        "best-at-4": ("stopped", 4),
        "worse-at-4": ("stopped", 4),
        "best-at-2": ("stopped", 2),
        "failed": ("failed", None),
    }
    at_four = found["best-at-4"].rung_scores
    assert at_four is not None
    assert at_four.accuracy.value == 25 / QUESTIONS
    assert "stopped after 4 of 5 steps" in found["best-at-4"].reasons[0]


def test_scores_of_different_rungs_are_never_ranked_together(ledger: Ledger, config: SearchConfig) -> None:
    found = outcomes(config, ledger)
    assert [outcome.candidate.name for outcome in ranked(found)] == ["full"]
    assert [outcome.candidate.name for outcome in stopped(found)] == ["best-at-4", "worse-at-4", "best-at-2"]
    assert all(outcome.scores is None for outcome in stopped(found))
    finalists = choose_ensembles(config, [s.candidate for s in ranked(found)], tuple)
    assert {name for finalist in finalists for name in finalist.candidates} == {"full"}
    feedback = build_feedback("ranked", found, 1)
    assert [row.name for row in feedback.ranked] == ["full"]
    assert [(row.name, row.stopped_after) for row in feedback.stopped] == [
        ("best-at-4", 4),
        ("worse-at-4", 4),
        ("best-at-2", 2),
    ]
    assert [row.name for row in feedback.failed] == ["failed"]


def test_a_run_stopped_for_one_seed_only_has_the_rung_that_both_reached(ledger: Ledger, config: SearchConfig) -> None:
    first, second = screening_seeds(config.seed, 2)
    candidate = Candidate("uneven", 2, 0, "id9", reward_code(9), "test", "", "", parents=())
    ledger.record_round(2, 1, [candidate], [], 0.1)
    ledger.record_verdict("uneven", {"uneven": Verdict(accepted=True, identity="uneven", checks=())})
    for seed, rungs in ((first, {2: 9, 4: 8}), (second, {2: 7})):
        job = screening_run(config, "uneven", candidate, seed)
        for rung, right in rungs.items():
            so_far = RunResult(digest=job.digest, predictions=answers(right))
            ledger.record_rung("screening", "uneven", job, rung, so_far, "validation")
        assert every(config, ledger)["uneven"].status == "pending"
        ledger.record_training("screening", "uneven", job, RunResult(digest=job.digest), "validation")
    outcome = every(config, ledger)["uneven"]
    assert (outcome.status, outcome.rung) == ("stopped", 2)
    assert outcome.rung_scores is not None
    assert outcome.rung_scores.accuracy.value == 8 / QUESTIONS


def test_tables_list_them_below_with_their_rung(ledger: Ledger, config: SearchConfig) -> None:
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(outcomes_table(outcomes(config, ledger), {}))
    text = console.export_text()
    order = [text.index(part) for part in (" full ", "best-at-4 (stopped after 4 steps)", "best-at-2 (stopped after 2")]
    assert order == sorted(order)
    assert "1 unscored" in text
    board = leaderboard_text(config, ledger, "table")
    assert "best-at-4: listed apart: stopped after 4 of 5 steps" in board
    assert board.index("full") < board.index("best-at-4")


def test_the_report_has_a_place_for_them(ledger: Ledger, config: SearchConfig) -> None:
    html = " ".join(render(report_data(config, ledger, running=False)).split())
    apart = html[html.index('<h3 id="stopped">') : html.index('<h3 id="unscored">')]
    assert "3 candidates that successive halving stopped at a rung" in apart
    assert [apart.index(f"{name}</span>") for name in ("best-at-4", "worse-at-4", "best-at-2")] == sorted(
        apart.index(f"{name}</span>") for name in ("best-at-4", "worse-at-4", "best-at-2")
    )
    assert "4 steps:" in apart
    assert "Why it has no score" not in apart
    assert "3 candidates were stopped before that many steps by successive halving" in html
    assert "1 candidate that never got a score" in html
