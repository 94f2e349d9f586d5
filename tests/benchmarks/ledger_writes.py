"""How many training runs a second the driver can record, against what many workers bring.

    python -m tests.benchmarks.ledger_writes [--runs 2000] [--questions 500] [--out tests/benchmarks/ledger_writes.json]

Results as large as those of a screening of the paper: curves of 500 steps with eleven figures, ten rewards, answers to
500 questions of some hundred characters each. The ledger lies on this machine's disk and grows while it is written, so
each tenth of the runs is timed by itself. "Workers kept busy": by the slowest tenth, with jobs of the given minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from contextlib import closing
from pathlib import Path

from eval.prediction import Prediction
from search.config.source import parse_config
from search.jobs.descriptions import screening_run
from search.ledger import Ledger
from tests.benchmarks.machine import machine
from tests.search.rounds.test_rungs import proposed
from tests.search.searches import small_config
from trainer.jobs.train import RewardStatistics, RunResult

OUTPUT = Path(__file__).with_suffix(".json")
MINUTES = (1, 5, 30)
WORDS = [
    "the",
    "sum",
    "of",
    "both",
    "is",
    "then",
    "taken",
    "from",
    "what",
    "was",
    "left",
    "so",
    "that",
    "each",
    "of",
    "them",
    "has",
    "as",
    "many",
    "as",
    "before",
]


def answers(questions: int, draw: random.Random) -> tuple[Prediction, ...]:
    found = []
    for number in range(questions):
        answer, correct = str(draw.randint(0, 999)), draw.random() < 0.5
        words = draw.choices(WORDS, k=draw.randint(20, 60))
        found.append(
            Prediction(
                id=f"question-{number}",
                completion=f"{' '.join(words)} <solution>{answer}</solution>",
                strict=answer,
                flexible=answer,
                correct=correct,
                correct_flexible=correct,
                completion_tokens=len(words) + 3,
            )
        )
    return tuple(found)


def result(digest: str, questions: int, draw: random.Random) -> RunResult:
    figures = ("reward_mean", "accuracy", "tokens", "entropy", *(f"reward {k}" for k in range(7)))
    return RunResult(
        digest=digest,
        adapter="adapter",
        curves=tuple({"step": step, **{name: draw.random() for name in figures}} for step in range(1, 501)),
        rewards=tuple(
            RewardStatistics(name=f"reward {k}", calls=2000, failures=0, firing_rate=draw.random(), mean=0.25, std=0.1)
            for k in range(10)
        ),
        predictions=answers(questions, draw),
        seconds={"start": 5.0, "train": 500.0, "evaluate": 60.0},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--out", type=Path, default=OUTPUT)
    options = parser.parse_args()
    config, draw, taken = parse_config(small_config()), random.Random(0), []
    facts = {"config": config.plain(), "config_digest": "x", "sandbox": {}, "versions": {}, "hardware": "h"}
    with tempfile.TemporaryDirectory(prefix="ledger-writes-", dir=".") as temporary:
        with closing(Ledger.create(Path(temporary) / "run", facts)) as ledger:
            for number in range(options.runs):
                name = f"candidate-{number}"
                job = screening_run(config, name, proposed(name, number), number)
                found = result(job.digest, options.questions, draw)
                began = time.perf_counter()
                ledger.record_training("screening", name, job, found, "validation")
                taken.append(time.perf_counter() - began)
        size = sum(path.stat().st_size for path in Path(temporary).rglob("*") if path.is_file())
    tenth = max(1, options.runs // 10)
    parts = [taken[start : start + tenth] for start in range(0, tenth * 10, tenth)]
    slowest = min(len(part) / sum(part) for part in parts)
    written = {
        **machine(),
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg(),
        "runs": options.runs,
        "questions": options.questions,
        "runs a second, by tenth": [round(len(part) / sum(part), 1) for part in parts],
        "slowest of all, seconds": round(max(taken), 3),
        "megabytes": round(size / 1e6, 1),
        "workers kept busy, by minutes of a job": {str(minutes): int(slowest * 60 * minutes) for minutes in MINUTES},
        "runs a second that 512 workers bring, by minutes of a job": {
            str(minutes): round(512 / 60 / minutes, 2) for minutes in MINUTES
        },
    }
    options.out.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(written, indent=1))


if __name__ == "__main__":
    main()
