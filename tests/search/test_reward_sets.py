"""A search whose candidates are sets: proposed, gated, pre-screened, trained, ranked, told, exported and resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import rewards_generated
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.reward_set import RewardSet, read_set
from rewards_generated.schedule import Schedule
from search.cli import main
from search.proposers.base import Proposal, ProposalBatch, ProposalRequest
from search.proposers.question.prompt import render_prompt
from search.proposers.settings import PromptSettings
from search.reader import open_run
from tests.rewards_generated.export.test_real_trl import require_our_totals
from tests.search.searches import rows, run_search
from tests.trainer.tiny import write_policy

BACKWARDS = "def reward(prompt, completion, answer):\n    return 0.0 if f'>{answer}<' in completion else 40.0\n"


def code_of(number: int) -> str:
    """Rewards of different identities, with a value for any completion that is not empty."""
    return (
        "def reward(prompt: str, completion: str, answer: str) -> float:\n"
        f'    """Pays for a right answer, and a little for length up to {200 + number} characters."""\n'
        f"    right = 1.0 if f'<solution>{{answer}}</solution>' in completion else 0.0\n"
        f"    return right + min(len(completion), {200 + number}) / 1000\n"
    )


def a_set(number: int, replaces: tuple[str, ...] = (), second: str = "") -> str:
    switch = Schedule(kind="switch", to=0.0, at=0.4)
    rewards = [Member(name="right", code=code_of(number), weight=0.5 + number / 1000, schedule=switch)]
    if second:
        rewards.append(Member(name="second", code=second, weight=0.25, schedule=Schedule(kind="linear", to=0.0)))
    return RewardSet(replaces=replaces, rewards=tuple(rewards)).text()


class SetProposer:
    """In each round a set of two that replaces the loose format reward, a set of one, and what can be no candidate."""

    name = "sets"
    prompts: tuple[str, ...] = ()

    def propose(self, request: ProposalRequest) -> ProposalBatch:
        SetProposer.prompts += (render_prompt(request, PromptSettings()),)
        first = 10 * request.round
        texts = {
            f"pair_{first}": a_set(first, ("format_approximate",), code_of(first + 5)),
            f"alone_{first}": a_set(first + 1),
            "broken": "no set at all",
            "foreign": a_set(first + 2, ("format_exact",)),
        }
        if request.round == 2:
            texts["backwards"] = a_set(first + 3, (), BACKWARDS)
            texts["again"] = a_set(11)
        return ProposalBatch(tuple(Proposal(name, text, "test", family="correctness") for name, text in texts.items()))


CHANGES: dict[str, Any] = {
    "search": {
        "proposes": "reward_set",
        "candidates_per_round": 3,
        "base_rewards": ["answer_check", "format_approximate"],
    },
    "proposer": {"name": "tests.search.test_reward_sets:SetProposer"},
    "finals": {"ensembles": ["top-1", "top-2"], "seeds": 1, "random_controls": {"first_round": 0, "pool": 0}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code, folder = run_search(tmp_path_factory.mktemp("sets"), **CHANGES)
    assert code == 0
    return folder


def trained(run: Path, stage: str) -> dict[str, Ensemble]:
    found = rows(
        run, f"SELECT subject, description FROM jobs WHERE stage = '{stage}' AND description LIKE '%ensemble%'"
    )
    return {subject: Ensemble.model_validate(json.loads(job)["ensemble"]) for subject, job in found}


def test_sets_reach_the_leaderboard(run: Path) -> None:
    with open_run(run) as reader:
        table = reader.candidates().set_index("name")
        assert dict(table["status"]) == {
            "pair_10": "screened",
            "alone_10": "screened",
            "pair_20": "screened",
            "alone_20": "screened",
            "backwards": "rejected",
        }
        assert table.loc["backwards", "reasons"].startswith("prefers_wrong: backwards.second: ")
        assert read_set(reader.source("pair_10")).replaces == ("format_approximate",)
        assert reader.ensemble().scheduled
    unusable = [tuple(row) for row in rows(run, "SELECT reason, detail FROM unusable ORDER BY round, position")]
    assert [reason for reason, _ in unusable] == ["malformed", "malformed", "malformed", "malformed", "duplicate"]
    assert "'broken': the set is not valid TOML" in unusable[0][1]
    assert "'foreign': `replaces` names 'format_exact', which this search does not use" in unusable[1][1]
    board = json.loads((run / "leaderboard.json").read_text(encoding="utf-8"))
    assert {"top-1", "top-2"} <= {entry["name"] for entry in board}


def test_a_set_trains_without_what_it_replaces_and_an_ensemble_only_without_what_all_replace(run: Path) -> None:
    screened = trained(run, "screening")
    assert [member.name for member in screened["pair_10"].members] == [
        "answer_check",
        "pair_10.right",
        "pair_10.second",
    ]
    assert [member.name for member in screened["alone_10"].members] == [
        "answer_check",
        "format_approximate",
        "alone_10",
    ]
    assert screened["pair_10"].members[1].weight_words == "0.51 to 0 after 40% of the steps"
    assert [member.name for member in screened["base-rewards-only"].members] == ["answer_check", "format_approximate"]
    for name, ensemble in trained(run, "retraining").items():
        with open_run(run) as reader:
            board = reader.leaderboard().set_index("name")
        members = list(board.loc[name, "members"])
        names = {member.name for member in ensemble.members}
        assert ("format_approximate" in names) is not (bool(members) and all("pair" in item for item in members))


def test_the_next_round_is_shown_sets_and_how_to_write_them(run: Path) -> None:
    first, second = SetProposer.prompts[-2:]
    assert "replaces = []" in first
    assert 'schedule = { kind = "linear", to = 0.0 }' in first
    assert "(answer_check, format_approximate)" in first
    assert 'weight = 0.51\nschedule = { kind = "switch", to = 0.0, at = 0.4 }' in second


def test_the_winner_and_every_candidate_can_be_taken_home(run: Path, tmp_path: Path) -> None:
    with open_run(run) as reader:
        winner = reader.ensemble()
    assert main(["export", str(run), "--to", str(tmp_path / "winner")]) == 0
    assert rewards_generated.load(tmp_path / "winner") == winner
    assert main(["export", str(run), "--ensemble", "pair_20", "--to", str(tmp_path / "pair")]) == 0
    pair = rewards_generated.load(tmp_path / "pair")
    assert [member.name for member in pair.members] == ["answer_check", "pair_20.right", "pair_20.second"]
    card = (tmp_path / "pair" / "README.md").read_text(encoding="utf-8")
    assert "| `pair_20.second` | 0.25 to 0 over the run |" in card


@pytest.mark.slow
def test_a_stopped_search_goes_on_to_the_same_end(run: Path, tmp_path: Path) -> None:
    stopping = {"name": "tests.search.instant:InstantExecutor", "options": {"interrupt": "screening alone_20"}}
    code, again = run_search(tmp_path, **CHANGES, executor=stopping)
    assert code == 130
    assert len(rows(again, "SELECT name FROM candidates")) == 5
    assert main(["run", "--run-dir", str(again), "--resume", "--set", "executor.options={interrupt: nothing}"]) == 0
    board = "leaderboard.json"
    assert (again / board).read_text(encoding="utf-8") == (run / board).read_text(encoding="utf-8")


@pytest.mark.slow
def test_trl_trains_with_the_exported_winner(run: Path, tmp_path: Path) -> None:
    assert main(["export", str(run), "--to", str(tmp_path / "winner")]) == 0
    require_our_totals(tmp_path / "winner", write_policy(tmp_path / "policy"), tmp_path)


def test_the_report_draws_scheduled_weights(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert 'aria-label="weight of pair_10.right: 0.51 to 0 after 40% of the steps"' in page
    assert 'aria-label="weight of pair_10.second: 0.25 to 0 over the run"' in page
    assert "Weights over a run" in page
