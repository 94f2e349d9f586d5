"""The same search in several answer formats, with policies that really write them.

The testbed's policy, with its four tags named differently: the same weights, so that the same search in `<think>` and
`<answer>` tags must come to the same figures, digit for digit; and one that boxes its answers.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import search
from eval.tasks.base import TaskReference
from eval.tasks.testbed.task import TestbedOptions, TestbedTask
from rewards_generated.answers import ANSWER_FORMATS
from rewards_generated.errors import UserError
from trainer.testbed import policy_path

NAMES = {
    "solution": {},
    "answer": {
        "<thinking>": "<think>",
        "</thinking>": "</think>",
        "<solution>": "<answer>",
        "</solution>": "</answer>",
    },
    "boxed": {"<thinking>": "Steps:", "</thinking>": "\n", "<solution>": "\\boxed{", "</solution>": "}"},
}


def renamed_policy(folder: Path, names: dict[str, str]) -> Path:
    """The testbed's policy with other texts for some of its tokens."""
    shutil.copytree(policy_path(), folder)
    file = folder / "tokenizer.json"
    text = json.loads(file.read_text())
    vocabulary = text["model"]["vocab"]
    taken = {new: f"{new}\u2060" for new in names.values() if new in vocabulary}  # such as "\n"
    text["model"]["vocab"] = {names.get(token, taken.get(token, token)): place for token, place in vocabulary.items()}
    file.write_text(json.dumps(text))
    return folder


def questions(folder: Path) -> dict[str, str]:
    """The testbed's questions as JSONL files."""
    task = TestbedTask(TaskReference(name="testbed"), TestbedOptions(train=60, validation=60, test=60))
    for split in ("train", "validation", "test"):
        lines = [json.dumps({"question": e.question, "answer": e.answer}) for e in task.examples(split)]  # type: ignore[arg-type]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return {split: str(folder / f"{split}.jsonl") for split in ("train", "validation", "test")}


def config(folder: Path, form: str, **options: Any) -> dict[str, Any]:
    policy = renamed_policy(folder / "policy", NAMES[form])
    return {
        "name": form,
        "task": {
            "name": "jsonl",
            "options": {**questions(folder), "answer_format": form, "system_prompt": "", **options},
        },
        "base_model": str(policy),
        "search": {"rounds": 1, "candidates_per_round": 3, "base_rollouts": {"questions": 16, "per_question": 4}},
        "proposer": {"name": "evolve"},
        "screening": {
            "questions": 60,
            "grpo": {
                "steps": 4,
                "prompts_per_step": 4,
                "generations": 4,
                "max_completion_tokens": 112,
                "learning_rate": 0.005,
            },
            "lora": {"rank": 4, "alpha": 4},
        },
        "finals": {
            "ensembles": ["top-2"],
            "seeds": 1,
            "random_controls": {"first_round": 0, "pool": 0},
            "test_questions": 60,
        },
        "hardware": {"device": "cpu", "threads": 1},
        "executor": {"pack": "auto"},
    }


@pytest.mark.slow
def test_a_search_whose_base_rewards_say_nothing_is_refused_before_any_training(tmp_path: Path) -> None:
    """The policy writes `<solution>` tags, the task wants a box in `<plan>` tags."""
    form = {"reasoning_tag": "plan", "reasoning_opened": True}
    with pytest.raises(UserError, match=r"the base rewards give .* to each of 64 rollouts") as refusal:
        search.run(
            config(tmp_path, "solution") | {"task": config(tmp_path / "other", "solution", answer_format=form)["task"]},
            tmp_path / "run",
        )
    assert "0 with a readable answer, 0 right" in str(refusal.value)
    assert "<plan>" in str(refusal.value)


@pytest.mark.slow
def test_the_same_search_in_three_formats(tmp_path: Path) -> None:
    boards = {}
    for form in NAMES:
        (tmp_path / form).mkdir()
        with search.run(config(tmp_path / form, form), tmp_path / form / "run").reader() as run:
            boards[form] = run.leaderboard()
            rollouts = run.rollouts()
            assert rollouts["score: answer_check"].nunique() > 1
            assert rollouts["score: format_exact"].nunique() > 1
            ensemble = run.ensemble()
            assert ensemble.answer_format == ANSWER_FORMATS[form]
    figures = [column for column in boards["answer"].columns if column.startswith(("test_", "validation_"))]
    assert len(figures) > 4
    assert boards["answer"][figures].equals(boards["solution"][figures])
    assert boards["boxed"].test_accuracy_value.notna().any()
