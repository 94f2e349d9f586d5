"""A search with the algorithm multilayer: what its jobs are told, what its evaluations keep, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval.second_turn import SECOND_TURN
from eval.tasks.registry import build_task
from rewards_generated.errors import UserError
from search.cli import main
from search.config.names import UNTRAINED
from search.config.plan import plan
from search.config.source import parse_config
from search.jobs.descriptions import base_rollouts_job
from search.ledger import Ledger
from search.results.notes import two_turns_of
from search.rounds.request import first_request
from tests.search.searches import run_search, small_config

LAYERS: dict[str, Any] = {
    "algorithm": {"name": "multilayer", "options": {"corrections": 3, "responses": 1, "select": "wrong"}},
}


def test_a_search_with_two_layers_ends_with_a_leaderboard_of_second_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    screening = {**small_config()["screening"], **LAYERS}
    code, run = run_search(tmp_path, screening=screening)
    assert code == 0
    ledger = Ledger.open(run)
    config = parse_config(ledger.fact("config"))
    try:
        rows = ledger._all("SELECT description FROM jobs WHERE stage IN ('screening', 'retraining')")
        jobs = [job for (text,) in rows if "ensemble" in (job := json.loads(text))]
        assert jobs
        for job in jobs:
            assert job["algorithm"]["name"] == "multilayer"
            assert job["algorithm"]["options"]["select"] == "wrong"
            assert job["evaluation"]["second_turn"] == SECOND_TURN
        evaluated = [item for item in ledger.evaluations() if item.stage != "base-rollouts"]
        assert {item.stage for item in evaluated} == {"screening", "retraining", "test"}
        for item in evaluated:
            assert all(prediction.earlier is not None for prediction in ledger.completions(item))
        figures = two_turns_of(config, ledger, "screening", UNTRAINED)
        assert figures is not None
        assert figures.delta.value == pytest.approx(figures.second.value - figures.first.value)
        winner = ledger.milestone("winner_named")
    finally:
        ledger.close()
    capsys.readouterr()
    assert main(["leaderboard", str(run)]) == 0
    shown = capsys.readouterr().out
    assert "Every question was asked in two passes" in shown
    assert f"Acc@t1' {figures.second.value:.3f}" in shown
    assert winner is not None
    assert f"; {winner.detail['name']}: Acc@t1 " in shown
    assert main(["report", str(run), "--out", str(tmp_path / "report.html")]) == 0
    assert "second layer" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_two_passes_without_a_second_layer_and_the_reverse() -> None:
    def second_turn(**screening: Any) -> str | None:
        return parse_config(small_config(screening=screening)).second_turn

    assert second_turn() is None
    assert second_turn(evaluation_turns=2) == SECOND_TURN
    assert second_turn(evaluation_turns=2, second_turn_phrase="look") == "look"
    assert second_turn(**LAYERS) == SECOND_TURN
    assert second_turn(**LAYERS, evaluation_turns=1) is None
    assert base_rollouts_job(parse_config(small_config(screening=LAYERS))).second_turn is None


def test_the_plan_counts_both_layers_and_both_passes() -> None:
    one, two = (plan(parse_config(small_config(screening=screening))) for screening in ({}, LAYERS))
    assert two.steps == one.steps
    assert two.completions == one.completions * (2 * 2 + 2 * 1 * 3) / (2 * 2)
    assert two.evaluated_questions == 2 * one.evaluated_questions


def test_the_proposer_is_told_of_second_prompts() -> None:
    one, two = (parse_config(small_config(screening=screening)) for screening in ({}, LAYERS))
    task = build_task(one.task)
    assert first_request(one, task, 1, ()).task_description == task.description
    told = first_request(two, task, 1, ()).task_description
    assert told.startswith(task.description)
    assert f"`{SECOND_TURN}`" in told
    best = {"algorithm": {"name": "multilayer", "options": {"select": "best"}}}
    three = parse_config(small_config(screening=best))
    assert "the best of its own answers" in first_request(three, task, 1, ()).task_description


@pytest.mark.parametrize(
    ("screening", "sentence"),
    [
        ({"algorithm": {"name": "grpo", "options": {"corrections": 4}}}, r"algorithm\.options\.corrections"),
        ({"second_turn_phrase": "look"}, "`screening.second_turn_phrase` = 'look' has no effect"),
        ({"algorithm": {"name": "multilayer", "options": {"corrections": 1}}}, "groups of one completion"),
        ({"algorithm": {"name": "multilayer", "options": {"corection": 1}}}, "has no field 'corection'; .*corrections"),
        ({"algorithm": {"name": "multilayer", "options": {"updates": "both"}}}, r"options\.updates` = 'both'"),
        ({"algorithm": "multilayr"}, "'multilayr' is not a known algorithm"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_settings_that_do_not_fit_are_one_sentence(screening: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse_config(small_config(screening=screening))
