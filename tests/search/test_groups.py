"""A search whose rewards may see whole groups: asked for, gated, pre-screened, trained, ranked, told and exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rewards_generated.contract import CONTRACTS, GROUP_SIGNATURE, SIGNATURE
from rewards_generated.ensemble import Member
from rewards_generated.reward_set import RewardSet
from rewards_generated.schedule import Schedule
from search.cli import main
from search.config.models import SearchSettings
from search.proposers.base import Proposal, ProposalBatch, ProposalRequest
from search.proposers.question.prompt import render_prompt
from search.proposers.settings import PromptSettings
from search.reader import open_run
from tests.rewards_generated.group_rewards import SHORTER, VARIETY
from tests.search.searches import reward_code, rows, run_search

GROUPS = {"variety": VARIETY, "shorter": SHORTER}


class GroupProposer:
    """Two rewards of whole groups, or a set that holds both, and one of a completion."""

    name = "groups"

    def propose(self, request: ProposalRequest) -> ProposalBatch:
        texts = {**GROUPS, "single": reward_code(1)}
        if request.proposes == "reward_set":
            switch = Schedule(kind="switch", to=0.1, at=0.5)
            members = (Member(name="variety", code=VARIETY, schedule=switch), Member(name="shorter", code=SHORTER))
            texts = {"pair": RewardSet(rewards=members).text()}
        return ProposalBatch(tuple(Proposal(name, text, "test", family="other") for name, text in texts.items()))


def searched(folder: Path, **search: Any) -> Path:
    code, run = run_search(
        folder,
        search={"rounds": 1, "candidates_per_round": 3, "base_rollouts": {"questions": 8, "per_question": 4}, **search},
        proposer={"name": "tests.search.test_groups:GroupProposer"},
        finals={"ensembles": ["top-3"], "seeds": 1, "random_controls": {"first_round": 0, "pool": 0}},
    )
    assert code == 0
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return searched(tmp_path_factory.mktemp("groups"), contracts=["completion", "group"])


def test_rewards_of_groups_are_screened_and_ranked_beside_others(run: Path) -> None:
    with open_run(run) as reader:
        table = reader.candidates().set_index("name")
        assert dict(table["status"]) == dict.fromkeys([*GROUPS, "single"], "screened")
    [measured] = rows(run, "SELECT scores FROM prescreenings WHERE candidate = 'shorter'")
    scores = json.loads(measured[0])
    assert len(scores) == 32
    assert all(0.0 in scores[start : start + 4] for start in range(0, 32, 4)), "the longest of a question's four"
    board = json.loads((run / "leaderboard.json").read_text(encoding="utf-8"))
    assert "top-3" in {entry["name"] for entry in board}


def test_a_candidate_is_exported_and_scores_files_of_groups(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run), "--ensemble", "shorter", "--to", str(tmp_path / "mine")]) == 0
    assert "called with all completions of a prompt together" in (tmp_path / "mine" / "README.md").read_text()
    lines = [{"prompt": "p", "completion": text, "answer": "1"} for text in ("aaaa", "aa")]
    (tmp_path / "rollouts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    capsys.readouterr()
    assert main(["score", f"{run}:shorter", str(tmp_path / "rollouts.jsonl")]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [item["scores"]["shorter"] for item in found] == [0.0, 0.5]


def test_a_search_takes_none_by_default(tmp_path: Path) -> None:
    run = searched(tmp_path)
    with open_run(run) as reader:
        table = reader.candidates().set_index("name")
        assert dict(table["status"]) == {**dict.fromkeys(GROUPS, "rejected"), "single": "screened"}
        assert "rewards of whole groups are not taken here" in table.loc["variety", "reasons"]


def test_the_order_of_contracts_is_no_other_configuration() -> None:
    named = [
        SearchSettings(rounds=1, candidates_per_round=1, contracts=order) for order in (CONTRACTS, CONTRACTS[::-1])
    ]
    assert named[0] == named[1]


@pytest.mark.slow
def test_a_set_may_hold_them(tmp_path: Path) -> None:
    run = searched(tmp_path, contracts=["completion", "group"], proposes="reward_set")
    with open_run(run) as reader:
        assert dict(reader.candidates().set_index("name")["status"]) == {"pair": "screened"}


def test_the_question_tells_of_the_contracts_that_are_taken() -> None:
    from tests.search.proposers.examples import request

    def said(*contracts: str) -> str:
        return render_prompt(request(contracts=contracts), PromptSettings())

    assert GROUP_SIGNATURE not in said("completion")
    assert "`group`" not in said("completion")
    both = said("completion", "group")
    assert both.index(SIGNATURE) < both.index(GROUP_SIGNATURE) < both.index("must not depend on its place in the group")
    assert SIGNATURE not in said("group")
    assert said("group").count(GROUP_SIGNATURE) == 2
