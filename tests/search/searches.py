"""Small searches for tests: the testbed's task in small, the instant executor, a proposer of numbered rewards."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from search.cli import main
from search.ledger import LEDGER_FILE
from search.proposers.base import Proposal, ProposalBatch, ProposalRequest

SMALL: dict[str, Any] = {
    "name": "small",
    "seed": 3,
    "task": {"name": "testbed", "options": {"train": 40, "validation": 60, "test": 80}},
    "base_model": "testbed",
    "search": {"rounds": 2, "candidates_per_round": 2, "base_rollouts": {"questions": 8, "per_question": 2}},
    "proposer": {"name": "tests.search.searches:NumberedProposer"},
    "screening": {
        "questions": 40,
        "control_seeds": 1,
        "grpo": {
            "steps": 5,
            "prompts_per_step": 2,
            "generations": 2,
            "max_completion_tokens": 16,
            "learning_rate": 0.001,
        },
    },
    "finals": {
        "ensembles": ["top-2", "top-3", "diverse-rounds"],
        "seeds": 2,
        "control_seeds": 1,
        "random_controls": {"first_round": 1, "pool": 2},
        "test_questions": 50,
    },
    "executor": {"name": "tests.search.instant:InstantExecutor"},
}


def reward_code(number: int) -> str:
    """Rewards that the gate accepts, each with an identity of its own."""
    return (
        "def reward(prompt: str, completion: str, answer: str) -> float:\n"
        '    """Pays for the right answer, and a little for reasoning that ends in a check."""\n'
        f"    bonus = {1 + number / 1000} if f'<solution>{{answer}}</solution>' in completion else 0.0\n"
        "    return bonus + (0.01 if 'Wait' in completion and bonus else 0.0)\n"
    )


class NumberedProposer:
    """Proposes reward 1, 2, 3, ...; in a later round those follow whose number the best candidate suggests."""

    name = "numbered"

    def __init__(self, surplus: int = 0, repeat: bool = False, code: str = "") -> None:
        self.surplus, self.repeat, self.code = surplus, repeat, code

    def propose(self, request: ProposalRequest) -> ProposalBatch:
        ranked = request.feedback.ranked
        first = 100 * request.round + (int(ranked[0].name.split("-")[1].split("_")[0]) % 7 if ranked else 0)
        numbers = [1 if self.repeat else first + k for k in range(request.count + self.surplus)]
        return ProposalBatch(
            tuple(
                Proposal(f"reward-{number}", self.code or reward_code(number), "test", family="correctness")
                for number in numbers
            )
        )


def small_config(**changes: Any) -> dict[str, Any]:
    """`SMALL` with sections replaced field by field."""
    config: dict[str, Any] = json.loads(json.dumps(SMALL))
    for name, value in changes.items():
        config[name] = {**config.get(name, {}), **value} if isinstance(value, dict) else value
    return config


def write_config(folder: Path, **changes: Any) -> Path:
    path = folder / "search.yaml"
    path.write_text(json.dumps(small_config(**changes)), encoding="utf-8")  # JSON is YAML
    return path


def run_search(folder: Path, *arguments: str, name: str = "run", **changes: Any) -> tuple[int, Path]:
    """Exit code and run directory of a small search, driven through the command line."""
    run = folder / name
    config = write_config(folder, **changes)
    return main(["run", "--config", str(config), "--run-dir", str(run), *arguments]), run


def rows(run: Path, query: str) -> list[tuple[Any, ...]]:
    """What the query finds in the ledger of a run."""
    connection = sqlite3.connect(run / LEDGER_FILE)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()
