"""Programs per second that the sandbox runs with their tests, one by one and as a batch.

    python -m tests.benchmarks.program_tests [--programs 300] [--output tests/benchmarks/program_tests.json]

The programs are the solutions of the task `code`, each made another text so that no verdict is remembered. A batch with
endless programs shows what those cost: each holds one worker for the time limit. On a busy machine run it under
`chrt -r 1`, or it measures the other programs.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eval.tasks.base import Task, TaskReference
from eval.tasks.registry import build_task
from rewards_generated.answers import programs
from rewards_generated.answers.programs import judge_ahead, passes
from rewards_generated.sandbox import measure_strength
from tests.benchmarks.machine import machine

ENDLESS = 0.05
"""Share of endless programs in the last batch."""


def measure(count: int) -> dict[str, Any]:
    task = build_task(TaskReference(name="code", options={"train": count}))
    golds = [example.answer for example in task.examples("train")]
    tests = sum(gold.count("\nassert ") for gold in golds)
    passes(golds[0], golds[0])  # the worker's start is measured apart
    start = _seconds(lambda: programs._new_worker().start())
    alone = _seconds(lambda: _require([passes(f"{gold}\n# alone", gold) for gold in golds]))
    batch = _seconds(lambda: _judge(task, [f"{gold}\n# batch" for gold in golds], golds))
    endless = int(ENDLESS * count)
    mixed = [f"while True: pass\n# {place}" for place in range(endless)] + golds[endless:]
    with_endless = _seconds(lambda: _judge(task, [f"{text}\n# mixed" for text in mixed], golds))
    return {
        "programs": count,
        "tests": tests,
        "seconds until a worker is ready": round(start, 3),
        "one by one, programs per second": round(count / alone, 1),
        "as a batch, programs per second": round(count / batch, 1),
        "as a batch, tests per second": round(tests / batch),
        "workers of a batch": programs._workers_at_once(),
        f"as a batch with {ENDLESS:.0%} endless, programs per second": round(count / with_endless, 1),
        "time limit, seconds": programs.TIME_LIMIT_SECONDS,
    }


def _judge(task: Task, texts: list[str], golds: list[str]) -> None:
    judge_ahead(task, [task.answer_format.completion("so", text) for text in texts], golds)


def _require(verdicts: list[bool]) -> None:
    assert all(verdicts)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=300)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    load = [round(value, 1) for value in os.getloadavg()]
    found = {
        **machine(),
        "load average at the start": load,
        "real-time scheduling": os.sched_getscheduler(0) == os.SCHED_RR,
        "sandbox level": measure_strength().level,
        **measure(arguments.programs),
    }
    arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
