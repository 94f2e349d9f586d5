"""A whole search on a policy that we did not make: Gemma 3 270M, fine-tuned on word problems first.

    make test-real-model                                     # fetches it
    python -m tests.benchmarks.real_search run --work runs/gemma             # hours; goes on where it was stopped
    python -m tests.benchmarks.real_search summarise --work runs/gemma --out tests/benchmarks/real_search.json

The configurations are tests/real_model/fine_tune.yaml and search.yaml. The search is asked and told: the answers in
tests/real_model/answers were written by a frontier language model, the second one after it had read the results of the
first round, and are told again. The summary: accuracy before and after the fine-tuning, where the time went, how far
the search came, and its leaderboard with intervals.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from search.driver.status import state_of
from search.ledger import Ledger
from tests.benchmarks.machine import machine
from trainer.pipeline.result import PipelineResult

CONFIGURATIONS = Path(__file__).parents[1] / "real_model"


def run(work: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    tuned, searched = work / "fine-tuned", work / "search"
    steps = {
        tuned: ["pipeline", str(CONFIGURATIONS / "fine_tune.yaml"), "--to", str(tuned)],
        searched: [
            "run",
            "--config",
            str(CONFIGURATIONS / "search.yaml"),
            "--run-dir",
            str(searched),
            "--set",
            f"base_model={tuned / 'policy'}",
        ],
    }
    resumed = {tuned: ["pipeline", "--to", str(tuned)], searched: ["run", "--run-dir", str(searched)]}
    for place, words in steps.items():
        given = [*resumed[place], "--resume"] if place.exists() else words
        subprocess.run([sys.executable, "-m", "search.cli", *given], check=True)
    while (asked := json.loads(_said("ask", str(searched), "--json")))["state"] == "waiting":
        answer = CONFIGURATIONS / "answers" / f"round_{asked['round']}.md"
        subprocess.run([sys.executable, "-m", "search.cli", "tell", str(searched), str(answer)], check=True)


def summary(work: Path) -> dict[str, Any]:
    tuned = PipelineResult.model_validate_json((work / "fine-tuned" / "result.json").read_bytes())
    with closing(Ledger.open(work / "search")) as ledger:
        jobs, facts, state = ledger.jobs(), ledger.fact("config"), state_of(work / "search", ledger)
    spent: Counter[str] = Counter()
    for job in jobs:
        spent.update(job.result.get("seconds", {}))
    return {
        "machine": machine(),
        "accuracy": {
            policy: {name: found.model_dump() for name, found in suites.items()}
            for policy, suites in tuned.scores.items()
        },
        "fine-tuning, seconds": {name: stage.seconds for name, stage in tuned.stages.items()},
        "jobs": len(jobs),
        "seconds of all jobs by phase": {name: round(value, 1) for name, value in spent.items()},
        "search": state,
        "leaderboard": json.loads(_said("leaderboard", str(work / "search"), "--format", "json")),
        "configuration": facts,
    }


def _said(*words: str) -> str:
    command = [sys.executable, "-m", "search.cli", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "summarise"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.what == "run":
        run(arguments.work)
        return
    written = json.dumps(summary(arguments.work), indent=1)
    print(written)
    if arguments.out is not None:
        arguments.out.write_text(written + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
