"""kill -9 of the driver at durable moments and at others: what is resumed comes to the same, pays nothing twice, and
leaves neither a process nor half a file."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.search.searches import rows, write_config
from tests.search.test_resume import drive_and_kill, leaderboard

PREDICTIONS = (
    "SELECT evaluations.stage, subject, seed, rung, question, strict, correct, completion_tokens, completions "
    "FROM predictions JOIN evaluations ON evaluation = id ORDER BY 1, 2, 3, 4, predictions.position"
)
ANSWERED = "SELECT round, call FROM calls WHERE json_extract(call, '$.reply') IS NOT NULL ORDER BY round, position"


def plan(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "task": {"name": "testbed", "options": {"train": 16, "validation": 12, "test": 12}},
        "screening": {"questions": 12},
        "proposer": {"name": "tests.search.paid:PaidProposer", "options": {"bill": str(folder / "bill.jsonl")}},
        "finals": {
            "ensembles": ["top-2"],
            "seeds": 1,
            "random_controls": {"first_round": 0, "pool": 2},
            "test_questions": 12,
        },
        **changes,
    }


RACED: dict[str, Any] = {
    "search": {"candidates_per_round": 4},
    "screening": {"questions": 12, "control_seeds": 2, "halving": {"rungs": [2]}, "race": [{"share": 0.5, "seeds": 1}]},
    "executor": {"name": "tests.search.instant:PackingExecutor", "pack": 2},
}


def files(run: Path) -> set[str]:
    """Of the run directory, but for what every start of a driver leaves otherwise."""
    found = (path.relative_to(run) for path in run.rglob("*") if path.is_file())
    return {str(path) for path in found if path.parts[0] != "backup" and not path.name.startswith("ledger.sqlite-")}


def assert_undisturbed(run: Path, whole: Path) -> None:
    assert leaderboard(run) == leaderboard(whole)
    assert rows(run, PREDICTIONS) == rows(whole, PREDICTIONS)
    answered = rows(run, ANSWERED)
    assert [json.loads(call) for _, call in answered] == [json.loads(call) for _, call in rows(whole, ANSWERED)]
    assert len(list((run / "backup").iterdir())) == 1
    assert files(run) == files(whole)
    assert [path.name for path in run.parent.iterdir() if path.name.startswith(".")] == []
    # Every request has a row, and none was sent again once its answer was recorded.
    sent = [json.loads(line) for line in (run.parent / "bill.jsonl").read_text().splitlines()]
    billed = Counter((number, exchange) for number, exchange in sent)
    asked = Counter(
        (number, json.loads(call)["exchange"]) for number, call in rows(run, "SELECT round, call FROM calls")
    )
    assert all(billed[place] <= asked[place] for place in billed)
    last = dict(
        rows(run, "SELECT round || ' ' || json_extract(call, '$.exchange'), max(position) FROM calls GROUP BY 1")
    )
    for number, position in rows(
        run, "SELECT round, position FROM calls WHERE json_extract(call, '$.reply') IS NOT NULL"
    ):
        assert position in last.values(), (number, position)


def disturbed(folder: Path, *how: str, **changes: Any) -> int:
    """Runs the search twice, once undisturbed; returns how often it was killed."""
    whole_folder, killed_folder = folder / "whole", folder / "killed"
    whole_folder.mkdir()
    killed_folder.mkdir()
    first = write_config(whole_folder, **plan(whole_folder, **changes))
    config, whole = write_config(killed_folder, **plan(killed_folder, **changes)), whole_folder / "run"
    kills = drive_and_kill(first, whole, "--", str(config), str(killed_folder / "run"), *how)
    assert_undisturbed(killed_folder / "run", whole)
    return kills


def test_killed_a_dozen_times(tmp_path: Path) -> None:
    small = {"search": {"rounds": 1, "candidates_per_round": 2}}
    assert disturbed(tmp_path, "durable", "1", "10", "18", **small) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["1", "2"])
def test_killed_at_durable_moments_of_two_rounds(tmp_path: Path, seed: str) -> None:
    assert disturbed(tmp_path, "durable", seed, "7", "15") >= 30


@pytest.mark.slow
def test_killed_at_durable_moments_of_packs_rungs_and_races(tmp_path: Path) -> None:
    assert disturbed(tmp_path, "durable", "3", "7", "15", **RACED) >= 40


@pytest.mark.slow
def test_killed_at_moments_that_nothing_announces(tmp_path: Path) -> None:
    assert disturbed(tmp_path, "moments", "4", "30", **RACED) >= 10
