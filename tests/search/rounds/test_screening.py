"""Searches with successive halving: who is stopped at which rung, what that leaves, and kill -9 at any point of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from search.cli import main
from search.config.names import BASE_ONLY
from search.config.seeds import screening_seeds
from search.config.source import parse_config
from search.ledger import Ledger, Stage
from search.results.ranking import Outcome, outcomes, ranked
from tests.search.jobs.test_packing import packing
from tests.search.searches import run_search, small_config, write_config
from tests.search.test_resume import drive_and_kill, leaderboard

SEARCH = {"rounds": 2, "candidates_per_round": 5}
HALVED: dict[str, Any] = {
    "search": SEARCH,
    "screening": {"seeds": 2, "halving": {"rungs": [2, 4]}},  # of 5 steps
    "executor": packing(3),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code, folder = run_search(tmp_path_factory.mktemp("halved"), **HALVED)
    assert code == 0
    return folder


def every(ledger: Ledger) -> list[Outcome]:
    return outcomes(parse_config(ledger.fact("config")), ledger)


def packs_of(run: Path) -> list[tuple[str, str | None]]:
    opened = Ledger.open(run)
    try:
        stages: tuple[Stage, ...] = ("screening", "retraining")
        return [(record.job.digest, record.outcome) for stage in stages for record in opened.packs(stage)]
    finally:
        opened.close()


def right_answers(ledger: Ledger, name: str, rung: int | None) -> int:
    runs = ledger.predictions("screening", name, "validation", rung)
    assert len(runs) == 2
    return sum(prediction.correct for run in runs.values() for prediction in run)


def test_at_each_rung_the_best_half_of_the_whole_round_select(ledger: Ledger) -> None:
    for number in (1, 2):
        going = [candidate.name for candidate in ledger.candidates(number)]
        found = {s.candidate.name: s for s in every(ledger) if s.candidate.round == number}
        for rung, places in ((2, 2), (4, 1)):
            order = sorted(going, key=lambda name: -right_answers(ledger, name, rung))
            for name in order[places:]:
                assert (found[name].status, found[name].rung) == ("stopped", rung)
                assert found[name].scores is None
            going = order[:places]
        assert [found[name].status for name in going] == ["screened"]


def test_a_round_is_compared_over_all_its_packs(ledger: Ledger) -> None:
    packs = [record.job for record in ledger.packs("screening")]
    first_round = [pack for pack in packs if pack.stop == 2 and not pack.origins][:4]
    assert [len(pack.members) for pack in first_round] == [3, 3, 3, 3]  # (5 candidates and the control) x 2 seeds
    assert [pack.stop for pack in packs] == [2] * 4 + [4] * 2 + [None] * 2 + [2] * 4 + [4] * 2 + [None] * 1
    going_on = [pack for pack in packs if pack.origins]
    assert any(len(set(pack.origins)) > 1 for pack in going_on), "members of several packs go on in one"
    assert {record.outcome for record in ledger.packs("screening")} == {"done"}


def test_who_goes_on_is_the_run_that_it_would_have_been(tmp_path: Path, ledger: Ledger) -> None:
    whole = {**HALVED, "screening": {"seeds": 2}, "search": {**SEARCH, "rounds": 1}}
    code, folder = run_search(tmp_path, name="whole", **whole)
    assert code == 0
    other = Ledger.open(folder)
    finished = [s.candidate.name for s in every(ledger) if s.scores and s.candidate.round == 1]
    for name in [*finished, BASE_ONLY]:
        for seed in screening_seeds(3, 2):
            mine, theirs = ledger.job("screening", name, seed), other.job("screening", name, seed)
            assert mine is not None
            assert mine == theirs
        there = other.predictions("screening", name, "validation")
        assert ledger.predictions("screening", name, "validation") == there
    other.close()


def test_the_control_trains_to_the_end_and_takes_nobodys_place(ledger: Ledger) -> None:
    assert right_answers(ledger, BASE_ONLY, None) > 0
    assert ledger.rungs("screening", BASE_ONLY, "validation") == [2, 4]
    control = [job for job in ledger.jobs("screening") if job.subject == BASE_ONLY]
    assert [len(job.result["curves"]) for job in control] == [5, 5]


def test_a_stopped_run_is_recorded_as_it_was_at_its_rung(ledger: Ledger) -> None:
    for outcome in every(ledger):
        for seed in screening_seeds(3, 2):
            record = ledger.job("screening", outcome.candidate.name, seed)
            assert record is not None
            assert record.failure is None
            assert len(record.result["curves"]) == (outcome.rung or 5)
            assert (record.result["adapter"] is None) == (outcome.status == "stopped")


def test_who_was_stopped_is_never_ranked_and_in_no_ensemble(ledger: Ledger) -> None:
    finished = {s.candidate.name for s in every(ledger) if s.status == "screened"}
    assert len(finished) == 2
    assert {s.candidate.name for s in ranked(every(ledger))} == finished
    members = {name for finalist in ledger.finalists() for name in finalist.candidates}
    assert members == finished


def test_states_are_kept_no_longer_than_somebody_may_go_on_from_them(run: Path) -> None:
    assert not list((run / "jobs").glob("*/checkpoint"))


def test_status_leaderboard_and_report_show_them_below_with_their_rung(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["status", str(run)]) == 0
    out = capsys.readouterr().out
    assert "2 screened" in out
    assert "8 stopped" in out
    assert "(stopped after 2 steps)" in out
    assert "stopped: stopped after 4 of 5 steps" in out
    report = " ".join((run / "report.html").read_text(encoding="utf-8").split())
    assert "8 candidates that successive halving stopped at a rung" in report


def test_the_next_round_is_told_of_them(tmp_path: Path) -> None:
    from search.rounds.feedback import build_feedback

    code, folder = run_search(tmp_path, **{**HALVED, "search": {**SEARCH, "rounds": 1}})
    assert code == 0
    ledger = Ledger.open(folder)
    feedback = build_feedback("ranked", every(ledger), 1)
    ledger.close()
    assert [row.stopped_after for row in feedback.stopped] == [4, 2, 2, 2]
    assert (len(feedback.ranked), feedback.failed) == (1, ())


@pytest.mark.slow
def test_a_candidate_with_an_unscored_seed_does_not_go_on(tmp_path: Path) -> None:
    seed = screening_seeds(3, 2)[1]
    # The five of the first round, of which the best at step 2 loses one of its runs.
    _, plain = run_search(tmp_path, name="plain", **{**HALVED, "search": {**SEARCH, "rounds": 1}})
    ledger = Ledger.open(plain)
    names = [candidate.name for candidate in ledger.candidates()]
    order = sorted(names, key=lambda name: -right_answers(ledger, name, 2))
    ledger.close()
    failing = packing(3, fail=f"screening {order[0]}, seed {seed}")
    code, folder = run_search(
        tmp_path, name="failing", **{**HALVED, "executor": failing, "search": {**SEARCH, "rounds": 1}}
    )
    assert code == 0
    ledger = Ledger.open(folder)
    found = {s.candidate.name: s for s in every(ledger)}
    other = ledger.job("screening", order[0], screening_seeds(3, 2)[0])
    ledger.close()
    assert found[order[0]].status == "failed"
    assert found[order[0]].reasons == ("20 % of the reward calls failed",)
    assert other is not None
    assert len(other.result["curves"]) == 2, "nor does its other run"
    # It counts among the five, of which two go on.
    assert {name for name, s in found.items() if s.rung == 2} == set(order[3:])


def test_with_nobody_scored_only_the_control_select(tmp_path: Path) -> None:
    changes = {**HALVED, "executor": packing(3, fail="screening reward")}
    code, folder = run_search(tmp_path, **changes)
    assert code == 2
    ledger = Ledger.open(folder)
    assert {s.status for s in every(ledger)} == {"failed"}
    assert right_answers(ledger, BASE_ONLY, None) > 0
    last = [record.job for record in ledger.packs("screening") if record.job.stop is None]
    ledger.close()
    assert [[member.ensemble.name for member in pack.members] for pack in last] == [[BASE_ONLY, BASE_ONLY]]


@pytest.mark.slow
def test_a_pack_that_is_too_large_goes_on_in_halves_from_the_same_states(tmp_path: Path, run: Path) -> None:
    changes = {**HALVED, "executor": packing(4, holds=2)}
    code, folder = run_search(tmp_path, **changes)
    assert code == 0
    ledger = Ledger.open(folder)
    halves = [record.job for record in ledger.packs("screening") if "half" in record.job.label and record.job.origins]
    ledger.close()
    assert halves
    assert {pack.stop for pack in halves} == {4, None}
    assert leaderboard(folder) == leaderboard(run)


@pytest.mark.slow
def test_the_same_configuration_twice_gives_the_same_leaderboard(tmp_path: Path, run: Path) -> None:
    code, again = run_search(tmp_path, **HALVED)
    assert code == 0
    assert leaderboard(again) == leaderboard(run)


KILLED: dict[str, Any] = {
    "search": {"rounds": 2, "candidates_per_round": 3},
    "screening": {"seeds": 1, "halving": {"rungs": [2, 4]}},
    "finals": {"ensembles": ["top-2"], "seeds": 1},
    "executor": packing(2),
}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code, folder = run_search(tmp_path_factory.mktemp("uninterrupted"), **KILLED)
    assert code == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("how", [("each",), ("before", "9", "3", "5", "2", "4", "7", "3", "6")])
def test_killed_at_any_point_it_comes_to_the_same_leaderboard(
    tmp_path: Path, uninterrupted: Path, how: tuple[str, ...]
) -> None:
    kills = drive_and_kill(write_config(tmp_path, **KILLED), tmp_path / "run", *how)
    assert kills > (20 if how == ("each",) else 7)
    assert leaderboard(tmp_path / "run") == leaderboard(uninterrupted)
    assert packs_of(tmp_path / "run") == packs_of(uninterrupted), "each was written down once, and is over"


def test_what_halving_needs_is_said_before_anything_is_spent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for halving, pack, sentence in (
        ({"rungs": [2, 5]}, 3, "rung 5 of screening.halving.rungs is not below the 5 steps"),
        ({"rungs": [4, 2]}, 3, "in rising order"),
        ({"rungs": [2], "kept": 1}, 3, "screening.halving.kept"),
    ):
        code, folder = run_search(tmp_path, screening={"halving": halving}, executor=packing(pack))
        assert code == 2
        assert sentence in capsys.readouterr().err
        assert not folder.exists()


@pytest.mark.slow
def test_halving_does_not_need_packs(tmp_path: Path, run: Path) -> None:
    """Every run by itself, to a rung and on from there: the same candidates stop as in packs."""
    code, alone = run_search(tmp_path, name="alone", **{**HALVED, "executor": packing(1)})
    assert code == 0
    assert leaderboard(alone) == leaderboard(run)


def test_dry_run_counts_the_steps_with_halving(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.config.plan import plan

    config = parse_config(small_config(**HALVED))
    # 2 rounds of 5 candidates: 5 to step 2, 2 to step 4, 1 to step 5; the control to step 5; all with two seeds.
    trained = 2 * (2 * (5 * 2 + 2 * 2 + 1 * 1) + 5)
    assert plan(config).steps == trained + plan(config).retrainings * 5
    asked = 2 * (2 * (5 + 2 + 1) + 3)
    assert plan(config).evaluated_questions == 40 * (asked + plan(config).retrainings + 1) + 50 * (
        plan(config).retrainings + 1
    )
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "search.yaml"
    path.write_text(json.dumps(small_config(**HALVED)), encoding="utf-8")
    assert main(["run", "--config", str(path), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "of 5 candidates of a round 2 go on after step 2, 1 go on after step 4; 60% of the steps" in out
    assert f"at most {plan(config).steps} GRPO steps" in out
