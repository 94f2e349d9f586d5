"""The starter library: what is in it, and what its members say of telling completions."""

from __future__ import annotations

import json
import math
from importlib import import_module
from pathlib import Path

import pytest

from rewards_generated.base import BASE_REWARDS
from rewards_generated.identity import identity
from rewards_generated.library import LibraryReward, load_library, read_library_file

LIBRARY = {item.name: item for item in load_library()}
ROLLOUTS = Path(__file__).parents[3] / "shared/data/rollouts/qwen-math-grpo.jsonl"

PROMPT = "Sam has 17 pens , buys 25 more and gives away 4 . How many pens are left ?"
GOLD = "38"


def tagged(thinking: str, solution: str) -> str:
    return f"<thinking> {thinking} </thinking> <solution> {solution} </solution>"


STEPS = tagged("17 + 25 = 42 . 42 - 4 = 38 .", "38")
SLIP = tagged("17 + 25 = 32 . 32 - 4 = 28 .", "28")
REPAIRED = tagged("17 + 25 = 32 . wait check 17 + 25 = 42 . 42 - 4 = 38 .", "38")
THEATRE = tagged("17 + 25 = 32 . wait check 17 + 25 = 32 . 32 - 4 = 28 .", "28")
WORDS_ONLY = tagged("wait wait check . hmm verify . wait .", "28")
DIRECT = tagged("so 38 .", "38")


def score(name: str, completion: str, prompt: str = PROMPT, answer: str = GOLD) -> float:
    module = import_module(f"rewards_generated.library.{name}")
    return float(module.reward(prompt, completion, answer))


def test_the_library_has_what_searches_draw_from() -> None:
    by_role = {role: [item for item in LIBRARY.values() if item.role == role] for role in ("reward", "control")}
    assert len(LIBRARY) >= 24
    assert sum(item.family == "reflection" for item in by_role["reward"]) >= 8
    assert {item.family for item in by_role["control"]} >= {"length", "keyword", "format"}
    assert len({identity(item.code) for item in LIBRARY.values()}) == len(LIBRARY)
    assert not set(LIBRARY) & set(BASE_REWARDS)


@pytest.mark.parametrize("item", LIBRARY.values(), ids=lambda item: item.name)
def test_every_file_says_what_it_rewards_and_why(item: LibraryReward) -> None:
    first, _, rest = item.description.partition("\n\n")
    assert first.endswith(".")
    assert len(rest) > 60
    assert "family:" not in item.description
    assert item.role == ("control" if item.name.endswith("_control") else "reward")


def test_a_file_without_its_fields_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text('"""Says nothing."""\n')
    with pytest.raises(ValueError, match="must say `family:` and `role:`"):
        read_library_file(path)


def test_four_families_by_hand() -> None:
    """One hit in each of two families: S = 1, C = 0.8 ln 2, r = 1 - 1 / (1 + C^1.2)."""
    complexity = 0.8 * math.log(2.0)
    expected = round(1 - 1 / (1 + complexity**1.2), 2)
    assert score("four_family_reflection", "There is a MISTAKE; the goal.") == expected
    assert score("four_family_reflection", "mistakes goals checked steps") == 0.0
    assert score("four_family_reflection", "") == 0.0


def test_four_families_equal_the_logged_rewards_of_the_paper() -> None:
    if not ROLLOUTS.exists():
        pytest.skip(f"the logged rollouts are not here: {ROLLOUTS}")
    rows = [json.loads(line) for line in ROLLOUTS.read_text(encoding="utf-8").splitlines()]
    logged = [round(row["reward"] - math.floor(row["reward"] + 1e-6), 2) for row in rows]
    ours = [score("four_family_reflection", row["completion"]) for row in rows]
    equal = sum(abs(a - b) < 1e-9 for a, b in zip(logged, ours, strict=True))
    assert len(rows) >= 1_000
    assert equal / len(rows) >= 0.999


@pytest.mark.parametrize(
    ("name", "better", "worse"),
    [
        ("correctness_gated_reflection", REPAIRED, THEATRE),
        ("correctness_gated_reflection", REPAIRED, STEPS),
        ("repair", REPAIRED, THEATRE),
        ("repair", REPAIRED, STEPS),
        ("repair_if_right", REPAIRED, REPAIRED.replace("<solution> 38", "<solution> 39")),
        ("repair_if_right", STEPS, SLIP),
        ("checked_arithmetic", REPAIRED, THEATRE),
        ("checked_arithmetic", STEPS, THEATRE),
        ("decayed_reflection", WORDS_ONLY, REPAIRED),
        ("position_aware_reflection", REPAIRED, tagged("wait check . 17 + 25 = 42 . 42 - 4 = 38 .", "38")),
        ("reflection_outcome", REPAIRED, THEATRE),
        ("reflection_outcome", STEPS, tagged("17 + 25 = 42 . wait check 17 + 25 = 32 .", "32")),
        ("reflection_density", REPAIRED, STEPS),
        ("reflection_density", REPAIRED, tagged("17 + 25 = 42 . wait wait wait wait", "42")),
        ("no_empty_reflection", REPAIRED, WORDS_ONLY),
        ("no_empty_reflection", STEPS, WORDS_ONLY),
        ("subgoals", tagged("step 1 : 17 + 25 = 42 . step 2 : 42 - 4 = 38 .", "38"), tagged("step 1 step 2", "38")),
        ("backward_check", tagged("17 + 25 = 42 . 42 - 25 = 17 . 42 - 4 = 38 .", "38"), STEPS),
        ("valid_equation_share", STEPS, SLIP),
        ("valid_equation_share", REPAIRED, SLIP),
        ("first_error_position", STEPS, SLIP),
        ("first_error_position", tagged("17 + 25 = 42 . 42 - 4 = 39 .", "39"), SLIP),
        ("chained_steps", STEPS, tagged("17 + 25 = 42 . 17 - 4 = 13 .", "13")),
        ("solution_follows", SLIP, tagged("17 + 25 = 42 . 42 - 4 = 38 .", "42")),
        ("uses_given_numbers", STEPS, tagged("17 + 25 = 42 .", "42")),
        ("no_invented_numbers", STEPS, tagged("17 + 25 = 42 . 41 - 9 = 32 .", "32")),
        ("expected_step_count", STEPS, tagged("17 + 25 = 42 .", "42")),
        ("distinct_equations", STEPS, tagged("17 + 25 = 42 . 17 + 25 = 42 .", "42")),
        ("final_equation_right", STEPS, tagged("42 - 5 = 38 .", "38")),
        ("final_equation_right", tagged("42 - 5 = 38 .", "38"), SLIP),
        ("right_and_sound", REPAIRED, tagged("17 + 25 = 32 . 32 - 4 = 38 .", "38")),
        ("right_and_sound", DIRECT, SLIP),
        ("right_only_bonus", DIRECT, SLIP),
        ("answer_proximity", tagged("x", "37"), tagged("x", "28")),
        ("brevity_if_right", DIRECT, REPAIRED),
        ("brevity_if_right", REPAIRED, SLIP),
        ("gold_in_reasoning", STEPS, SLIP),
        ("digit_agreement", SLIP, tagged("x", "71")),
        ("digit_agreement", STEPS, SLIP),
        ("single_solution", STEPS, STEPS + " <solution> 39 </solution>"),
        ("single_solution", STEPS, tagged("x", "38 or 39")),
        ("thinking_before_answer", STEPS, DIRECT),
        ("length_control", REPAIRED, STEPS),
        ("shortness_control", DIRECT, STEPS),
        ("keyword_spam_control", WORDS_ONLY, STEPS),
        ("format_only_control", SLIP, "38"),
        ("tag_count_control", "<thinking>" * 9, STEPS),
        ("equation_count_control", "1 = 1 " * 8, STEPS),
    ],
)
def test_what_is_better_scores_higher(name: str, better: str, worse: str) -> None:
    assert score(name, better) > score(name, worse)


COUNTS_WORDS = {"length_control", "shortness_control", "brevity_if_right", "position_aware_reflection"}


@pytest.mark.parametrize("name", sorted(set(LIBRARY) - COUNTS_WORDS))
def test_spaces_around_numbers_and_capitals_do_not_matter(name: str) -> None:
    """The testbed writes `17 + 25 = 42.` and `Wait, check`; other policies put spaces before the full stop."""
    close = "<thinking>17 + 25 = 32. Wait, check 17 + 25 = 42. 42 - 4 = 38.</thinking><solution>38</solution>"
    assert score(name, close) == pytest.approx(score(name, REPAIRED), abs=1e-9)


def test_rewards_of_a_repair_cannot_be_raised_by_more_slips() -> None:
    many = tagged(" ".join(f"{n} + 1 = 0 . wait check {n} + 1 = {n + 1} ." for n in range(10, 60)), "38")
    for name in ("repair", "repair_if_right", "checked_arithmetic", "reflection_outcome"):
        assert score(name, many) <= 2.0
