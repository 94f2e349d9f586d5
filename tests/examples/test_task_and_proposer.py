"""The examples of a task and a proposer of one's own conform, as ours do; a check finds what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval.answers import Extraction
from eval.tasks.base import TaskReference
from eval.tasks.conformance import check_task
from eval.tasks.registry import build_task
from examples.proposer_of_ones_own import MovingNumber
from examples.task_of_ones_own import ClockTimes, build
from search.proposers.base import ProposalBatch, ProposalRequest
from search.proposers.conformance import check_proposer
from search.proposers.evolution.evolve import EvolveProposer
from tests.search.searches import NumberedProposer, run_search


def test_the_task_conforms_and_reads_times_as_people_write_them() -> None:
    check_task(build({"questions": 90}))
    task = build({})
    assert task.equal("9.05", "09:05")
    assert task.extract("<solution> 9:05 </solution>") == Extraction("9:05", "9:05")


@pytest.mark.slow
def test_a_search_with_the_proposer_comes_to_its_leaderboard(tmp_path: Path) -> None:
    proposer = {"name": "examples.proposer_of_ones_own:MovingNumber", "options": {"start": 0.2}}
    executor = {"name": "tests.search.instant:InstantExecutor"}
    code, run = run_search(tmp_path, proposer=proposer, executor=executor)
    assert code == 0
    assert json.loads((run / "leaderboard.json").read_text(encoding="utf-8"))[0]["validation"]


@pytest.mark.parametrize("name", ["testbed", "testbed-depth", "testbed-depth-control"])
def test_our_tasks_conform(name: str) -> None:
    check_task(build_task(TaskReference(name=name)))


def test_a_jsonl_task_conforms(tmp_path: Path) -> None:
    for split, numbers in (("train", range(60)), ("test", range(60, 90))):
        lines = [json.dumps({"question": f"How much is {n} + 1?", "answer": str(n + 1)}) for n in numbers]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    options = {split: str(tmp_path / f"{split}.jsonl") for split in ("train", "test")}
    check_task(build_task(TaskReference(name="jsonl", options={**options, "validation_size": 10})))


def test_a_task_that_does_not_conform_is_told_why() -> None:
    class Unequal(ClockTimes):
        def equal(self, extracted: str, gold: str) -> bool:
            return False

    class Generous(ClockTimes):
        def extract(self, completion: str) -> Extraction:
            return Extraction("00:00", "00:00")

    class Shared(ClockTimes):
        def examples(self, split: Any, limit: int | None = None) -> Any:
            return super().examples("train", limit)

    for task, sentence in (
        (Unequal(90), "equals itself"),
        (Generous(90), "nothing is read strictly"),
        (Shared(90), "in one split alone"),
    ):
        with pytest.raises(AssertionError, match=sentence):
            check_task(task)


@pytest.mark.parametrize("kind", [MovingNumber, EvolveProposer])
def test_proposers_conform(kind: Any) -> None:
    check_proposer(kind)


def test_a_proposer_that_does_not_conform_is_told_why() -> None:
    class TooMany(NumberedProposer):
        def __init__(self) -> None:
            super().__init__(surplus=2)

    class Repeating(NumberedProposer):
        def __init__(self) -> None:
            super().__init__(repeat=True)

    class Unreadable(NumberedProposer):
        def propose(self, request: ProposalRequest) -> ProposalBatch:
            batch = super().propose(request)
            return ProposalBatch(tuple(replace(item, code="def reward(") for item in batch.proposals))

    for proposer, sentence in (
        (TooMany, "no more proposals"),
        (Repeating, "different names"),
        (Unreadable, "is Python"),
    ):
        with pytest.raises(AssertionError, match=sentence):
            check_proposer(proposer)
