"""What `reward-search plan --workers` says of a small search on one worker and on two, against the search itself.

    python -m tests.benchmarks.plan_workers --work runs/workers [--set screening.grpo.steps=10 ...]

Runs the search of the testbed twice, with one job at a time and with two, a thread each and no packs. Both are planned
beforehand from a calibration, and afterwards from the times of the first; the latter says nothing of the first that it
was not told, and of the second only how two jobs share two cores. The driver's pace is that of its processor in a
rehearsal. A search that is in the folder already is not run again. Writes plan_workers.json beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any

from search.cli import main as reward_search
from search.config.models import SearchConfig
from search.config.source import load_config
from search.forecast.forecast import forecast
from search.ledger import Ledger
from tests.benchmarks.machine import machine

WORKERS = (1, 2)
OUTPUT = Path(__file__).with_suffix(".json")


FIELDS = ("executor.pack=1", "screening.grpo.steps=20", "finals.test_questions=200", "search.reflection_minimum=0")
"""Of the preset testbed-quick, two rounds of four."""


def taken(run: Path) -> float:
    """Seconds from the start of a search to its end."""
    with closing(Ledger.open(run)) as ledger:
        started, finished = ledger.milestone("started"), ledger.milestone("finished")
    assert started is not None
    assert finished is not None
    return (finished.at - started.at).total_seconds()


def planned(config: SearchConfig, run: Path | None) -> dict[int, float]:
    return {item.workers: item.seconds for item in forecast(config, WORKERS, run=run).in_rounds}


def measure(work: Path, fields: list[str]) -> dict[str, Any]:
    config = load_config("testbed-quick", None, fields)
    load = {"before": os.getloadavg()[0]}
    calibrated = planned(config, None)
    runs = {workers: work / f"workers-{workers}" for workers in WORKERS}
    for workers, run in runs.items():
        if not run.exists():
            arguments = ["run", "--preset", "testbed-quick", "--run-dir", str(run)]
            for field in (*fields, f"executor.parallel_jobs={workers}"):
                arguments += ["--set", field]
            if code := reward_search(arguments):
                raise SystemExit(code)
        load[f"after {workers}"] = os.getloadavg()[0]
    seconds = {workers: taken(run) for workers, run in runs.items()}
    sources = {"from a calibration": calibrated, "from the times of the search on one worker": planned(config, runs[1])}
    return {
        **machine(),
        "cores": os.cpu_count(),
        "load average": load,
        "preset": "testbed-quick",
        "set": fields,
        "seconds taken": seconds,
        "planned": {
            source: {
                str(workers): {
                    "seconds": round(found[workers], 1),
                    "relative error": round(found[workers] / seconds[workers] - 1, 3),
                }
                for workers in WORKERS
            }
            for source, found in sources.items()
        },
        "speed-up on two": {
            "taken": round(seconds[1] / seconds[2], 2),
            **{source: round(found[1] / found[2], 2) for source, found in sources.items()},
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--out", type=Path, default=OUTPUT)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    found = measure(options.work, [*FIELDS, *options.set])
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found["planned"], indent=1))


if __name__ == "__main__":
    main()
