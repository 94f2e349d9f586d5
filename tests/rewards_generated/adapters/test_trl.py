"""An ensemble as TRL's reward functions, called the way `GRPOTrainer` calls them."""

from __future__ import annotations

from typing import Any

import pytest

from rewards_generated.adapters.trl import trl_member_functions, trl_reward_functions
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import UserError
from rewards_generated.library import library_codes
from tests.rewards_generated.group_rewards import SHORTER, STEPS

RIGHT = "<thinking> 17 + 5 = 12 . wait check 17 + 5 = 22 . </thinking> <solution> 22 </solution>"
WRONG = "<thinking> 17 + 5 = 12 . </thinking> <solution> 12 </solution>"
MEMBERS = (Member(name="answer_check"), Member(name="repair", code=library_codes()["repair"], weight=0.5))


def chat(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


@pytest.mark.parametrize("conversational", [False, True])
def test_totals_for_text_and_for_chats(conversational: bool) -> None:
    (function,) = trl_reward_functions(Ensemble(name="mine", members=MEMBERS))
    prompts: list[Any] = ["17 + 5 ?"] * 2
    completions: list[Any] = [RIGHT, WRONG]
    if conversational:
        prompts = [chat("system", "be brief") + chat("user", text) for text in prompts]
        completions = [chat("assistant", text) for text in completions]
    values = function(
        prompts=prompts, completions=completions, completion_ids=[[1], [2]], answer=["22", "22"], trainer=None
    )
    assert values == [3.5, -1.5]
    assert function.__name__ == "mine"


def test_the_answer_column_may_have_another_name() -> None:
    (function,) = trl_reward_functions(Ensemble(name="mine", members=MEMBERS), answer_column="gold")
    assert function(prompts=["p"], completions=[WRONG], gold=[12]) == [3.0]
    with pytest.raises(UserError, match="no column 'gold'"):
        function(prompts=["p"], completions=[WRONG], answer=["12"])


def test_what_cannot_be_scored_is_none() -> None:
    code = "def reward(prompt, completion, answer):\n    return 1 / len(completion)\n"
    (function,) = trl_reward_functions(Ensemble(name="mine", members=(Member(name="fragile", code=code),)))
    assert function(prompts=["p", "p"], completions=["", "ab"], answer=["", ""]) == [None, 0.5]


def test_group_normalised_is_left_to_trl() -> None:
    grouped = Ensemble(name="mine", members=MEMBERS, aggregation="group_normalised")
    with pytest.raises(UserError, match="normalize_then_sum"):
        trl_reward_functions(grouped)
    functions = trl_member_functions(grouped)
    values = [function(prompts=["p"], completions=[RIGHT], answer=["22"]) for function in functions]
    assert [function.__name__ for function in functions] == ["answer_check", "repair"]
    assert values == [[3.0], [1.0]]


def test_worked_solutions_come_from_their_column() -> None:
    code = "def reward(prompt, completion, answer, worked_solution):\n    return float(len(worked_solution or ''))\n"
    (function,) = trl_reward_functions(Ensemble(name="mine", members=(Member(name="asking", code=code),)))
    given = {"prompts": ["p", "q"], "completions": ["a", "b"], "answer": ["1", "2"]}
    assert function(**given, worked_solution=["1 = 1", None]) == [5.0, 0.0]
    with pytest.raises(UserError, match="'asking' asks for the worked solution; give the dataset a column"):
        function(**given)


def test_groups_are_found_by_prompt_and_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    shorter = Ensemble(name="mine", members=(Member(name="shorter", code=SHORTER),))
    rows = {"prompts": ["p", "q", "p", "q", "p"], "completions": ["aaaa", "bb", "aa", "b", "c"]}
    for functions in (trl_reward_functions(shorter), trl_member_functions(shorter)):
        assert functions[0](**rows, answer=["1", "1", "1", "1", "2"]) == [0.0, 0.0, 0.5, 0.5, 0.0]
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="pass generations="):
        trl_reward_functions(shorter)


def test_a_group_that_asks_for_the_worked_solution_is_one_question() -> None:
    steps = Ensemble(name="mine", members=(Member(name="steps", code=STEPS),))
    (function,) = trl_reward_functions(steps)
    texts = ["<solution> 2 </solution>", "1 + 1 = 2 <solution> 2 </solution>"] * 2
    rows = {"prompts": ["p"] * 4, "completions": texts, "answer": ["2"] * 4}
    assert function(**rows, worked_solution=["1 + 1 = 2"] * 2 + [None] * 2) == [0.5, 1.0, 1.0, 1.0]
    with pytest.raises(UserError, match="'steps' asks for the worked solution; give the dataset a column"):
        function(**rows)


def test_generations_cut_the_rows_of_a_prompt_into_whole_groups() -> None:
    shorter = Ensemble(name="mine", members=(Member(name="shorter", code=SHORTER),))
    (function,) = trl_reward_functions(shorter, generations=2)
    texts = [chat("assistant", text) for text in ("aaaa", "aa", "a", "bb")]
    asked = chat("system", "be brief") + chat("user", "p")
    assert function(prompts=[asked] * 4, completions=texts, answer=["1"] * 4) == [0.0, 0.5, 0.5, 0.0]
    with pytest.raises(UserError, match="3 completions of a prompt where groups have 2"):
        function(prompts=[asked] * 3, completions=texts[:3], answer=["1"] * 3)
