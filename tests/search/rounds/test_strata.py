"""Questions drawn from strata, on the instant executor: which are asked, of whom, and what is said of it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from eval.tasks.registry import build_task
from search.cli import main
from search.config.names import UNTRAINED
from search.config.plan import plan
from search.config.source import parse_config
from search.ledger import Ledger
from search.results.notes import notes
from search.results.strata import QUESTION_STRATA, drawn_ids
from search.rounds.training import question_kinds
from tests.search.searches import rows, run_search, small_config

TASK = {"name": "testbed", "options": {"train": 40, "validation": 90, "test": 80}}
SCREENING: dict[str, Any] = {"questions": 40, "question_strata": 4, "strata_pool": 80}
FINALS = {"ensembles": ["top-2", "greedy"], "greedy": {"size_limit": 2, "short_list": 1}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code, folder = run_search(tmp_path_factory.mktemp("strata"), task=TASK, screening=SCREENING, finals=FINALS)
    assert code == 0
    return folder


def asked(run: Path, where: str) -> set[tuple[str, ...]]:
    found: dict[int, list[str]] = {}
    query = f"SELECT evaluation, question FROM predictions JOIN evaluations ON evaluation = id WHERE {where}"
    for evaluation, question in rows(run, f"{query} ORDER BY evaluation, predictions.position"):
        found.setdefault(evaluation, []).append(question)
    return set(map(tuple, found.values()))


def test_candidates_controls_and_finalists_answer_the_same_drawn_questions(run: Path, ledger: Ledger) -> None:
    ids = drawn_ids(ledger)
    assert ids is not None
    assert len(set(ids)) == 40
    stages = ("screening", "greedy", "retraining")
    assert {stage for (stage,) in rows(run, "SELECT DISTINCT stage FROM evaluations")} >= set(stages)
    for stage in stages:
        assert asked(run, f"stage = '{stage}'") == {ids}


def test_strata_follow_the_base_mass_of_the_pool(run: Path, ledger: Ledger) -> None:
    fact = ledger.fact(QUESTION_STRATA)
    [(seed, answers)] = ledger.predictions("base-rollouts", UNTRAINED, "validation").items()
    right: dict[str, int] = {}
    for answer in answers:
        right[answer.id] = right.get(answer.id, 0) + answer.correct
    assert (len(answers), len(right), fact["pool"]) == (160, 80, 80)
    assert [fact["strata"].count(number) for number in range(4)] == [10] * 4
    parts = [[right[i] for i, s in zip(fact["ids"], fact["strata"], strict=True) if s == k] for k in range(4)]
    assert all(max(before) <= min(after) for before, after in pairwise(parts))
    assert parts[0] != parts[3]
    assert fact["mass"] == [[min(part) / 2, max(part) / 2] for part in parts]
    order = list(right)
    assert fact["ids"] == sorted(fact["ids"], key=order.index)
    assert set(order[:40]) != set(fact["ids"])
    [(train,)] = rows(run, f"SELECT count(*) FROM evaluations WHERE stage = 'base-rollouts' AND seed != {seed}")
    assert train == 1


def test_the_kinds_of_questions_that_a_leader_fails_are_those_of_the_drawn_ones(ledger: Ledger) -> None:
    config = parse_config(ledger.fact("config"))
    kinds = question_kinds(config, ledger, build_task(config.task), ledger.candidates()[0].name)
    assert sum(kind.questions for kind in kinds if kind.kind.startswith("the untrained policy answers it")) == 40


def test_what_was_drawn_and_saved_is_said(run: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    note = next(note for note in notes(parse_config(ledger.fact("config")), ledger) if "strata" in note)
    assert note.startswith("The 40 validation questions were drawn from 80 in strata of equal size, by how often 2 ")
    assert "intervals and tests are those of questions drawn at random" in note
    assert "the strata save " in note
    assert " % [" in note
    assert " of that of a difference of two candidates." in note
    assert main(["status", str(run)]) == 0
    assert note in capsys.readouterr().out
    assert "drawn from 4 strata" in (run / "report.html").read_text(encoding="utf-8")


def test_a_search_again_draws_the_same_and_another_seed_others(run: Path, ledger: Ledger, tmp_path: Path) -> None:
    stopped = {"name": "tests.search.instant:InstantExecutor", "options": {"interrupt": "screening"}}
    drawn = []
    for seed in (3, 4):
        changes = {"task": TASK, "screening": SCREENING, "finals": FINALS, "executor": stopped, "seed": seed}
        _, other = run_search(tmp_path, name=f"run-{seed}", **changes)
        drawn.append(drawn_ids(Ledger.open(other)))
    assert drawn[0] == drawn_ids(ledger) != drawn[1]


@pytest.mark.slow
def test_a_search_interrupted_between_pool_and_screening_goes_on_with_what_was_drawn(tmp_path: Path) -> None:
    stopped = {"name": "tests.search.instant:InstantExecutor", "options": {"interrupt": "rollouts of the base"}}
    code, run = run_search(tmp_path, task=TASK, screening=SCREENING, executor=stopped)
    before = drawn_ids(Ledger.open(run))
    assert code == 130
    assert before is not None
    assert main(["run", "--run-dir", str(run), "--resume", "--set", "executor.options.interrupt=''"]) == 0
    assert asked(run, "stage = 'screening'") == {before}
    pools = "SELECT count(*) FROM evaluations WHERE stage = 'base-rollouts' AND split = 'validation'"
    assert rows(run, pools) == [(1,)]


@pytest.mark.parametrize("change", ["screening.question_strata=5", "screening.strata_pool=90"])
def test_strata_of_a_search_may_not_change(run: Path, change: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--run-dir", str(run), "--resume", "--set", change]) == 2
    assert f"`{change.partition('=')[0]}` changed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("screening", "search", "said"),
    [
        ({"question_strata": 4}, {"select_on": "test"}, "`search.select_on` is 'test'"),
        ({"questions": 90, "question_strata": 4}, {}, "the validation split of the task 'testbed' has 90; ask fewer"),
        ({"question_strata": 21}, {}, "`screening.question_strata` = 21 leaves fewer than two"),
        ({"strata_pool": 80}, {}, "`screening.strata_pool` = 80 has no effect"),
        ({"question_strata": 4, "strata_pool": 40}, {}, "`screening.strata_pool` = 40 leaves nothing to choose"),
        ({"question_strata": 1}, {}, "`screening.question_strata` = 1"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_runs(
    tmp_path: Path, screening: dict[str, Any], search: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, run = run_search(tmp_path, task=TASK, screening=screening, search=search)
    assert code == 2
    assert said in capsys.readouterr().err
    assert not run.exists()


def test_the_plan_counts_the_sampled_answers() -> None:
    def planned(**screening: Any) -> int:
        return plan(parse_config(small_config(task=TASK, screening=screening))).pool_answers

    assert planned() == 0
    assert planned(**SCREENING) == 80 * 2
    assert planned(question_strata=4) == 4 * 40 * 2
