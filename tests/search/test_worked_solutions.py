"""A search whose candidates ask for worked solutions, with a task that has them, and without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval.tasks.base import TaskReference
from eval.tasks.registry import build_task
from search.config.source import parse_config
from search.ledger import Ledger
from search.rounds.base_policy import rollouts_of
from search.rounds.request import first_request
from tests.search.searches import run_search

CODE = """
import re


def reward(prompt: str, completion: str, answer: str, worked_solution: str | None) -> float:
    \"\"\"Pays for the right answer, more after numbers that the worked solution has too.\"\"\"
    if f"<solution>{answer}</solution>" not in completion:
        return 0.0
    known = set(re.findall(r"\\d+", worked_solution or ""))
    return 1.0 + len(known & set(re.findall(r"\\d+", completion))) / (1 + len(known))
"""
SEARCH = {"rounds": 1, "candidates_per_round": 1}
FINALS = {"ensembles": ["top-1"], "random_controls": {"first_round": 0, "pool": 0}}


def task(folder: Path, **options: Any) -> dict[str, Any]:
    """The testbed's questions in files; GSM8K's form of an answer stands in one field, the solution in another."""
    problems = build_task(TaskReference(name="testbed", options={"train": 40, "validation": 60, "test": 80}))
    for split in ("train", "validation", "test"):
        rows = [
            {"question": e.question, "answer": f"#### {e.answer}", "how": f"so it is {e.answer} = {e.answer}"}
            for e in problems.examples(split)  # type: ignore[arg-type]
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = {split: str(folder / f"{split}.jsonl") for split in ("train", "validation", "test")}
    return {"name": "jsonl", "options": {**files, "answer_marker": "####", **options}}


def searched(folder: Path, **options: Any) -> tuple[int, Path]:
    return run_search(
        folder,
        task=task(folder, **options),
        search=SEARCH,
        finals=FINALS,
        proposer={"name": "tests.search.searches:NumberedProposer", "options": {"code": CODE}},
    )


def test_candidates_may_ask_for_what_the_task_has_and_proposers_are_told(tmp_path: Path) -> None:
    code, run = searched(tmp_path, solution_field="how")
    assert code == 0
    ledger = Ledger.open(run)
    [verdict] = ledger.verdicts().values()
    assert verdict.accepted
    config = parse_config(ledger.fact("config"))
    questions = build_task(config.task)
    [sampled] = ledger.evaluations("base-rollouts")
    rollouts = rollouts_of(questions, ledger.completions(sampled))
    assert all(rollout.worked_solution == f"so it is {rollout.answer} = {rollout.answer}" for rollout in rollouts)
    assert first_request(config, questions, 1, rollouts).worked_solutions


def test_without_them_the_gate_refuses_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, run = searched(tmp_path)
    assert code == 2
    assert "asks for `worked_solution`, but the task has no worked solutions: leave" in capsys.readouterr().out
    ledger = Ledger.open(run)
    assert {job.subject for job in ledger.jobs("screening")} == {"base-rewards-only", "untrained-base"}
