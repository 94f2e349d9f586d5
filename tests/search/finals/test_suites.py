"""Finalists on out-of-distribution suites: evaluated last, shown apart, and without any say in the search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rewards_generated.errors import UserError
from search.cli import main
from search.config.checks import checked_task
from search.config.names import UNTRAINED
from search.config.plan import plan
from search.config.seeds import retraining_seeds
from search.config.source import load_config, parse_config
from search.config.suites import suites_of, with_suites
from search.ledger import Ledger
from tests.search.searches import run_search, small_config

OOD = [
    {"name": "testbed-depth", "options": {"test": 30}},
    {"name": "testbed", "options": {"steps": [1], "distractors": [0], "test": 30}},
]
DEPTH, ONE_STEP = 'testbed-depth {"test": 30}', 'testbed {"distractors": [0], "steps": [1], "test": 30}'


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same search with suites and without."""
    place = tmp_path_factory.mktemp("suites")
    code, run = run_search(place, finals={"ood": OOD, "ood_questions": 20, "ood_completion_tokens": 33})
    assert code == 0
    code, plain = run_search(place, name="plain")
    assert code == 0
    return run, plain


@pytest.fixture
def ledger(folders: tuple[Path, Path]) -> Any:
    opened = Ledger.open(folders[0])
    yield opened
    opened.close()


def board(run: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((run / "leaderboard.json").read_text(encoding="utf-8"))
    return found


def test_every_scored_policy_answers_every_suite_and_its_matched(ledger: Ledger) -> None:
    seeds = retraining_seeds(3, 2)
    trained = [finalist.name for finalist in ledger.finalists() if finalist.same_as is None]
    for task in (DEPTH, f"matched controls of {DEPTH}", ONE_STEP):
        for name in trained:
            runs = ledger.predictions("suite", f"{task}: {name}", "test")
            assert sorted(runs) == sorted(seeds)
            assert {len(answers) for answers in runs.values()} == {20}
        (untrained,) = ledger.predictions("suite", f"{task}: {UNTRAINED}", "test").values()
        assert len(untrained) == 20
    assert not ledger.predictions("suite", f"matched controls of {ONE_STEP}: {UNTRAINED}", "test")


def test_suites_come_after_the_test_split_and_change_nothing_else(folders: tuple[Path, Path], ledger: Ledger) -> None:
    opened, evaluated = ledger.milestone("test_opened"), ledger.milestone("suites_evaluated")
    assert opened is not None
    assert evaluated is not None
    assert opened.at <= evaluated.at
    with_them, without = (
        [{key: value for key, value in entry.items() if key != "suites"} for entry in board(folder)]
        for folder in folders
    )
    assert with_them == without
    assert all(entry["suites"] == {} for entry in board(folders[1]))


def test_gains_are_those_counted_by_hand(folders: tuple[Path, Path], ledger: Ledger) -> None:
    def right(task: str, name: str) -> Any:
        runs = ledger.predictions("suite", f"{task}: {name}", "test")
        return np.array([[prediction.correct for prediction in runs[seed]] for seed in sorted(runs)], dtype=float)

    for entry in board(folders[0]):
        for suite, matched in ((DEPTH, f"matched controls of {DEPTH}"), (ONE_STEP, None)):
            found = entry["suites"][suite]
            ours = right(suite, entry["name"])
            if not ours.size:
                continue  # trained under another name
            assert found["accuracy"]["value"] == pytest.approx(ours.mean())
            if entry["name"] == UNTRAINED:
                assert found["gain"] is None
                continue
            gain = ours.mean() - right(suite, UNTRAINED).mean()
            assert found["gain"]["value"] == pytest.approx(gain)
            assert found["gain"]["low"] < gain < found["gain"]["high"]
            if matched is None:
                assert found["gain_lost"] is found["matched"] is None
            else:
                kept = right(matched, entry["name"]).mean() - right(matched, UNTRAINED).mean()
                assert found["gain_lost"]["value"] == pytest.approx(kept - gain)


def test_completions_there_may_be_longer(ledger: Ledger) -> None:
    rows = ledger._all("SELECT description FROM jobs WHERE stage = 'suite'")
    assert {json.loads(row[0])["max_completion_tokens"] for row in rows} == {33}


def test_leaderboard_and_report_show_a_table_of_each(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for form in ("table", "md"):
        assert main(["leaderboard", str(folders[0]), "--format", form]) == 0
        shown = capsys.readouterr().out
        assert "testbed-depth" in shown
        assert "gain lost" in shown
    assert main(["leaderboard", str(folders[1]), "--format", "md"]) == 0
    assert "gain lost" not in capsys.readouterr().out
    page, plain = ((folder / "report.html").read_text(encoding="utf-8") for folder in folders)
    assert 'id="suites"' in page
    assert 'id="suites"' not in plain


def test_a_single_seed_has_intervals_over_questions(tmp_path: Path) -> None:
    finals = {"ood": OOD[:1], "ood_questions": 20, "seeds": 1, "ensembles": ["top-2"], "base_only": False}
    finals["random_controls"] = {"first_round": 0, "pool": 0}
    code, run = run_search(tmp_path, finals=finals, search={"rounds": 1})
    assert code == 0
    found = next(entry for entry in board(run) if entry["winner"])["suites"][DEPTH]
    assert found["gain_lost"]["low"] < found["gain_lost"]["value"] < found["gain_lost"]["high"]


def test_the_option_takes_all_suites_of_the_task_or_those_that_are_named() -> None:
    config = parse_config(small_config())
    assert [suite.name for suite in suites_of(with_suites(config))] == [
        "testbed-depth",
        "testbed-length",
        "testbed-tokens",
        "testbed-templates",
        "testbed-composition",
    ]
    named = parse_config(small_config(finals={"ood": ["testbed-length"]}))
    assert with_suites(named) == named
    assert plan(with_suites(config)).evaluated_questions > plan(named).evaluated_questions
    assert load_config(values=named.plain()).digest == named.digest
    other = parse_config(small_config(task={"name": "gsm8k"}))
    with pytest.raises(UserError, match=r"finals\.ood"):
        with_suites(other)


@pytest.mark.parametrize(
    ("ood", "said"),
    [
        (["testbed-depth", "testbed-depth"], "twice"),
        (["testbed-dept"], "did you mean 'testbed-depth'"),
        ([{"name": "testbed-depth", "options": {"steps": 1}}], "has no field 'steps'"),
        ([small_config()["task"]], "the task of the search itself"),
    ],
)
def test_suites_that_cannot_be_are_refused_before_the_search(ood: list[Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        checked_task(parse_config(small_config(finals={"ood": ood})))
