"""The question of a third round after real jobs: small here, and in full, of a larger search, as it was kept.

`proposers/questions/round_3.md` is what `ask` printed in the third round of `run --preset testbed-quick` with six
candidates a round and the proposer `manual`, which was told rewards of the starter library, a scaled copy of one of
them and a reward that the gate rejects; beside it what `ask --sections` printed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rewards_generated.answers import ANSWER_FORMATS
from rewards_generated.library import load_library
from search.cli import main
from search.proposers.question.tokens import estimated_tokens, parts, parts_table
from search.proposers.settings import PromptSettings
from tests.search.searches import run_search

KEPT = Path(__file__).parent / "proposers" / "questions" / "round_3.md"
PARTS = (
    "The task",
    "What the policy does before training",
    "How candidates are judged",
    "The contract",
    "The base rewards",
    "What gets a candidate rejected",
    "Reflection variants",
    "Results so far",
    "The best so far",
    "Failures that teach",
    "What training did",
    "What the leader still fails",
    "Your turn",
)
SMALL_AND_REAL: dict[str, Any] = {
    "search": {
        "rounds": 3,
        "candidates_per_round": 3,
        "reflection_minimum": 0,
        "base_rollouts": {"questions": 16, "per_question": 4},
    },
    "proposer": {"name": "manual", "options": {"max_follow_ups": 0}},
    "screening": {
        "questions": 40,
        "control_seeds": 2,
        "lora": {"rank": 4, "alpha": 8},
        "grpo": {
            "steps": 6,
            "prompts_per_step": 2,
            "generations": 4,
            "max_completion_tokens": 112,
            "learning_rate": 0.005,
        },
    },
    "executor": {"name": "local", "pack": "auto"},
    "hardware": {"device": "cpu", "threads": 1},
}


def require_every_part(question: str, number: int) -> None:
    """Raises AssertionError for what a question after training has to hold and this one does not."""
    assert [part.title for part in parts(question)] == ["introduction", *PARTS]
    assert estimated_tokens(question) <= PromptSettings().prompt_tokens < 8000
    assert f"This is round {number} of" in question
    for reference in (
        r"\| untrained policy \| 0\.\d+ \[",
        r"\| base rewards only \| 0\.\d+ \[",
        r"may lie 0\.\d\d apart",
    ):
        assert re.search(reference, question), reference
    for role in ("the leader", "in the middle"):
        assert re.search(
            rf" training of \w+, {role}\]\n\| steps \| reward \| candidate \| accuracy \| tokens \|", question
        )
    assert len(re.findall(r"^Values: format_exact .*, candidate ", question, re.MULTILINE)) >= 4
    assert "| the untrained policy answers it wrongly |" in question
    assert "counteract" in question


def test_the_question_that_was_kept_holds_everything() -> None:
    question = KEPT.read_text(encoding="utf-8")
    require_every_part(question, 3)
    kept = KEPT.with_name("round_3_sections.txt").read_text(encoding="utf-8")
    assert parts_table(question) == kept.rstrip("\n")
    table = question.split("# Results so far")[1].split("# The best so far")[0]
    described = re.findall(r"^\| (\d+) \| (\w+) \| .* \| [A-Z][^|]+\. \| [^|]+ \|$", table, re.MULTILINE)
    assert [int(place) for place, _ in described] == list(range(1, len(described) + 1))
    assert len(described) >= 10
    assert "- chained_steps_smooth (round 2, process): Chained steps again" in table
    assert "- courtesy (round 2, other): Pays for assuring" in table
    failures = question.split("# Failures that teach")[1].split("# What training did")[0]
    assert "Before training it gave the right one of two completions of a question more in " in failures
    assert "attack_flattery: " in failures
    assert "Signs of reward hacking: " in failures
    assert re.search(r" training of \w+, a failure\]", question)
    completions = re.findall(r"^Completion:\n(.*)\nValues: ", question, re.MULTILINE)
    assert len(set(completions)) == len(completions) >= 6


@pytest.mark.slow
def test_a_small_search_with_real_jobs_comes_to_such_a_question(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, run = run_search(tmp_path, **SMALL_AND_REAL)
    assert code == 0
    library = {item.name: item.code for item in load_library(ANSWER_FORMATS["solution"])}
    for names in (("chained_steps", "length_control", "repair"), ("right_and_sound", "subgoals", "backward_check")):
        answer = tmp_path / "answer.md"
        answer.write_text(
            "\n".join(f"name: {name}\n```python\n{library[name]}```\n" for name in names), encoding="utf-8"
        )
        assert main(["tell", str(run), str(answer)]) == 0
    capsys.readouterr()
    assert main(["ask", str(run)]) == 0
    require_every_part(capsys.readouterr().out, 3)
