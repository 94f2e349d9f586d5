"""Small studies for tests: the instant executor, and a proposer that writes down what it was told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from search.cli import main
from search.ledger import Ledger
from search.proposers.base import Proposal, ProposalBatch, ProposalRequest
from tests.search.instant import InstantExecutor
from tests.search.searches import reward_code
from trainer.jobs.base import Done, Job
from trainer.jobs.folder import RESULT_FILE, write_model
from trainer.jobs.train import TrainJob, member_folder

ARMS = ("ranked", "none", "shuffled", "independent")


class RecordingExecutor(InstantExecutor):
    """Leaves results in the jobs' folders, as real executors do, and notes what was trained."""

    trained: ClassVar[list[tuple[str, str]]] = []
    """Folder of the search and digest."""

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        for done in super().run(jobs, folder):
            if isinstance(done.job, TrainJob):
                for member, result in zip(done.job.members, done.result.members, strict=True):
                    self.trained.append((folder.parent.name, member.digest))
                    write_model(member_folder(done.folder, member) / RESULT_FILE, result)
            yield done


class InterruptedInThirdSearch(RecordingExecutor):
    """The user presses Ctrl-C at the second batch of jobs of the arm `none`, once."""

    pressed = False

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        if (
            jobs
            and isinstance(jobs[0], TrainJob)
            and folder.parent.name == "none"
            and not InterruptedInThirdSearch.pressed
        ):
            InterruptedInThirdSearch.pressed = True
            raise KeyboardInterrupt
        yield from super().run(jobs, folder)


class TellingProposer:
    """Says in every description what it was told. In a later round its first proposal is the same in all arms, the
    others follow from the order of the candidates in the feedback."""

    name = "telling"

    def propose(self, request: ProposalRequest) -> ProposalBatch:
        order = [item.name for item in request.feedback.ranked]
        said = json.dumps([request.feedback.mode, order, [item.f1 for item in request.feedback.ranked]])
        parents = tuple(item.identity for item in request.feedback.ranked[:1])
        base = 1000 * (2 if request.known_identities else 1) + 10 * (request.seed % 7)
        shift = int(order[0].split("-")[1]) % 10 if order else 5
        numbers = [base, *(base + 100 * (1 + shift) + k for k in range(1, request.count))]
        return ProposalBatch(
            tuple(
                Proposal(f"reward-{number}", reward_code(number), "test", said, "correctness", parents)
                for number in numbers
            )
        )


def run_study(folder: Path, *arguments: str, executor: str = "RecordingExecutor") -> int:
    """A small study of two seeds through the command line; `folder` is its own."""
    return main(["study", "feedback", "--run-dir", str(folder), *small(executor), *arguments])


def small(executor: str = "RecordingExecutor") -> list[str]:
    fields = [
        f"executor.name=tests.search.study.studies:{executor}",
        "executor.pack=1",
        "proposer.name=tests.search.study.studies:TellingProposer",
        "task.options={train: 40, validation: 60, test: 80}",
        "search.base_rollouts={questions: 8, per_question: 2}",
        "search.candidates_per_round=2",
        "search.reflection_minimum=0",
        "screening.questions=40",
        "finals.random_controls.pool=2",
        "finals.test_questions=50",
    ]
    return [word for field in fields for word in ("--set", field)]


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return found


def opened(folder: Path, seed: int, part: str) -> Ledger:
    return Ledger.open(folder / "searches" / f"seed-{seed}" / part)
