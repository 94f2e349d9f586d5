"""kill -9 of the driver at any commit, then --resume: the same leaderboard as an uninterrupted search."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from search.cli import main
from search.config.names import RACES
from search.ledger import Ledger, driver_lock
from tests.search.searches import run_search, write_config
from trainer.testbed import policy_path

ROOT = Path(__file__).parents[2]


def leaderboard(run: Path) -> str:
    return (run / "leaderboard.json").read_text(encoding="utf-8")


def drive_and_kill(config: Path, run: Path, *how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "tests.search.killed_driver", str(config), str(run), *how],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code, run = run_search(tmp_path_factory.mktemp("uninterrupted"))
    assert code == 0
    return run


@pytest.mark.slow
def test_killed_after_every_second_commit(tmp_path: Path, uninterrupted: Path) -> None:
    kills = drive_and_kill(write_config(tmp_path), tmp_path / "run", "each")
    assert kills > 12
    assert leaderboard(tmp_path / "run") == leaderboard(uninterrupted)


@pytest.mark.slow
def test_killed_before_commits_so_that_finished_work_is_lost(tmp_path: Path, uninterrupted: Path) -> None:
    points = ["2", "4", "7", "3", "5"]
    kills = drive_and_kill(write_config(tmp_path), tmp_path / "run", "before", *points)
    assert kills == len(points)
    assert leaderboard(tmp_path / "run") == leaderboard(uninterrupted)


@pytest.mark.slow
def test_a_race_killed_after_every_second_commit_trains_the_same(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "search": {"candidates_per_round": 3},
        "screening": {"control_seeds": 2, "race": [{"share": 0.7, "seeds": 1}, {"share": 0.5, "seeds": 2}]},
        "finals": {"ensembles": ["top-2"], "seeds": 1},
    }
    code, whole = run_search(tmp_path, name="whole", **changes)
    assert code == 0
    drive_and_kill(write_config(tmp_path, **changes), tmp_path / "run", "each")
    assert leaderboard(tmp_path / "run") == leaderboard(whole)
    races = []
    for folder in (tmp_path / "run", whole):
        ledger = Ledger.open(folder)
        races.append((ledger.fact(RACES), sorted((job.subject, job.seed) for job in ledger.jobs("screening"))))
        ledger.close()
    assert races[0] == races[1]


@pytest.mark.slow
def test_a_packed_search_killed_after_every_second_commit(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "search": {"candidates_per_round": 3},
        "finals": {"ensembles": ["top-2"], "seeds": 1},
        "executor": {"name": "tests.search.instant:PackingExecutor", "pack": 2},
    }
    code, whole = run_search(tmp_path, name="whole", **changes)
    assert code == 0
    drive_and_kill(write_config(tmp_path, **changes), tmp_path / "run", "each")
    assert leaderboard(tmp_path / "run") == leaderboard(whole)
    packs = []
    for folder in (tmp_path / "run", whole):
        ledger = Ledger.open(folder)
        packs.append(
            [(item.job, item.outcome) for stage in ("screening", "retraining") for item in ledger.packs(stage)]
        )
        ledger.close()
    assert packs[0] == packs[1]
    assert len(packs[0]) > 6


def test_resuming_a_finished_search_changes_nothing(uninterrupted: Path) -> None:
    before = leaderboard(uninterrupted)
    with_rows = counts(uninterrupted)
    assert main(["run", "--run-dir", str(uninterrupted), "--resume"]) == 0
    assert leaderboard(uninterrupted) == before
    assert counts(uninterrupted) == with_rows


def counts(run: Path) -> dict[str, int]:
    ledger = Ledger.open(run)
    try:
        return {"jobs": len(ledger.jobs()), "candidates": len(ledger.candidates()), "calls": len(ledger.calls())}
    finally:
        ledger.close()


def test_the_same_configuration_twice_gives_the_same_leaderboard(tmp_path: Path, uninterrupted: Path) -> None:
    code, run = run_search(tmp_path)
    assert code == 0
    assert leaderboard(run) == leaderboard(uninterrupted)


@pytest.mark.slow
def test_another_seed_gives_another_leaderboard(tmp_path: Path, uninterrupted: Path) -> None:
    code, run = run_search(tmp_path, seed=4)
    assert code == 0
    assert leaderboard(run) != leaderboard(uninterrupted)


def test_a_lost_job_runs_again(tmp_path: Path, uninterrupted: Path) -> None:
    code, run = run_search(tmp_path, executor={"options": {"lose": "reward-101", "lose_times": 2}})
    assert code == 0
    assert leaderboard(run) == leaderboard(uninterrupted)


def test_a_job_that_is_always_lost_is_unscored(tmp_path: Path) -> None:
    code, run = run_search(tmp_path, executor={"options": {"lose": "screening reward-101", "lose_times": 9}})
    assert code == 0
    ledger = Ledger.open(run)
    failures = {job.subject: job.failure for job in ledger.jobs("screening") if job.failure}
    ledger.close()
    assert failures == {"reward-101": "the job was killed by SIGKILL"}


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(
    tmp_path: Path, uninterrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path, executor={"name": "tests.search.instant:InterruptedOnce"})
    run = tmp_path / "run"
    assert main(["run", "--config", str(config), "--run-dir", str(run)]) == 130
    assert f"reward-search run --run-dir {run} --resume" in capsys.readouterr().out
    assert main(["run", "--run-dir", str(run), "--resume"]) == 0
    records = json.loads(leaderboard(run))
    assert records == json.loads(leaderboard(uninterrupted))


def test_two_drivers_cannot_write_one_run(uninterrupted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with driver_lock(uninterrupted):
        assert main(["run", "--run-dir", str(uninterrupted), "--resume"]) == 2
    assert "driven by another process" in capsys.readouterr().err


def test_resume_refuses_a_changed_configuration_and_names_the_fields(
    tmp_path: Path, uninterrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = leaderboard(uninterrupted)
    changed = write_config(tmp_path, seed=9, search={"candidates_per_round": 3})
    arguments = ["run", "--config", str(changed), "--run-dir", str(uninterrupted), "--resume"]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "`search.candidates_per_round`" in error
    assert "`seed`" in error
    assert main(["run", "--run-dir", str(uninterrupted), "--resume", "--set", "finals.seeds=5"]) == 2
    assert "`finals.seeds`" in capsys.readouterr().err
    assert leaderboard(uninterrupted) == before


def test_a_changed_base_policy_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tmp_path / "policy"
    shutil.copytree(policy_path(), policy)
    code, run = run_search(tmp_path, base_model=str(policy), executor={"options": {"interrupt": "screening"}})
    assert code == 130
    weights = policy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    capsys.readouterr()
    assert main(["run", "--run-dir", str(run), "--resume"]) == 2
    assert "base_model" in capsys.readouterr().err
