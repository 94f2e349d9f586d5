"""Scores on the base rollouts: from the ledger where they are there, by code and not by name, made where not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import search.rounds.checks
from rewards_generated.base import base_rewards
from rewards_generated.ensemble import Member
from rewards_generated.reward_set import Proposes, RewardSet
from rewards_generated.rollout import Rollout
from rewards_generated.schedule import Schedule
from search.config.source import parse_config
from search.driver.launch import opened_run
from search.ledger import Candidate, Ledger
from search.rounds.base_policy import rollouts_of
from search.rounds.base_scores import BaseScores
from search.rounds.prescreen import added_scores
from search.session import Progress
from tests.search.searches import run_search

COUNT = "def reward(prompt, completion, answer):\n    return float(completion.count('='))\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code, folder = run_search(tmp_path_factory.mktemp("scores"), search={"rounds": 1})
    assert code == 0
    return folder


@pytest.fixture
def scores(finished: Path) -> Any:
    """Of the run, with its rollouts."""
    ledger = Ledger.open(finished)
    config = parse_config(ledger.fact("config"))
    ledger.close()
    with opened_run(finished, config, Progress(Console(quiet=True), 0), resume=True) as run:
        rollouts = rollouts_of(run.task, run.ledger.completions(run.ledger.evaluations("base-rollouts")[0]))
        yield BaseScores(run, rollouts), rollouts, run.ledger


Opened = tuple[BaseScores, list[Rollout], Ledger]


def test_what_the_ledger_holds_is_not_scored_again(scores: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, ledger = scores

    def none(*_: object) -> list[float | None]:
        raise AssertionError("scored again")

    monkeypatch.setattr(search.rounds.checks, "score_rollouts", none)
    for candidate in ledger.candidates():
        assert found.of(candidate.members[0]) == ledger.prescreening_scores()[candidate.name]


def test_another_reward_of_the_same_name_has_scores_of_its_own(scores: Opened) -> None:
    found, rollouts, ledger = scores
    namesake = Member(name=ledger.candidates()[0].name, code=COUNT)
    assert found.of(namesake) == [float(rollout.completion.count("=")) for rollout in rollouts]
    assert found.of(ledger.candidates()[0].members[0]) != found.of(namesake)


def test_frozen_statistics_are_those_of_the_scores(scores: Opened) -> None:
    found, rollouts, _ = scores
    members = [Member(name="answer_check"), Member(name="count", code=COUNT)]
    for member, values in zip(
        found.frozen(members),
        (
            [base_rewards()["answer_check"](item.prompt, item.completion, item.answer) for item in rollouts],
            [float(item.completion.count("=")) for item in rollouts],
        ),
        strict=True,
    ):
        mean = math.fsum(values) / len(values)
        assert member.mean == pytest.approx(mean)
        assert member.std == pytest.approx((sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5)


def candidate(name: str, code: str, kind: Proposes = "reward") -> Candidate:
    return Candidate(name, 9, 0, name, code, "test", "", "", (), kind)


def test_a_set_is_what_it_adds_to_the_base_rewards(scores: Opened) -> None:
    found, rollouts, _ = scores
    fading = Member(name="count", code=COUNT, weight=0.5, schedule=Schedule(kind="linear", to=1.5))
    text = RewardSet(replaces=("answer_check",), rewards=(fading,)).text()
    judge = base_rewards()["answer_check"]
    added = [item.completion.count("=") - judge(item.prompt, item.completion, item.answer) for item in rollouts]
    one = candidate("one", text, "reward_set")
    assert added_scores(one, found.of) == pytest.approx(added)
    assert found.rank_correlation(one, one) == 1.0
    assert abs(found.rank_correlation(one, candidate("count", COUNT))) < 1.0


def test_a_constant_is_like_nothing(scores: Opened) -> None:
    found, _, _ = scores
    constant = candidate("constant", "def reward(prompt, completion, answer):\n    return 1.0\n")
    count = candidate("count", COUNT)
    assert found.rank_correlation(constant, count) == 0.0
    assert found.rank_correlation(count, count) == 1.0
