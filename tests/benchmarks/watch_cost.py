"""What `reward-search watch` costs beside a search: CPU time as a share of one core, and memory.

    python -m tests.benchmarks.watch_cost --candidates 50 --seconds 120 --output watch_cost.json

A search of so many candidates is run by an executor that trains nothing; this process then stands in as its driver,
with a pack of eight runs in training. Measured of the watching process, one phase after the other: idle without a
reader, idle with a reader connected, and with a reader while every two seconds each run logs a line and every ten a row
comes into the ledger, as in a search whose jobs take ten seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil

from search.ledger import Ledger, driver_lock
from tests.benchmarks.machine import machine
from tests.search.searches import run_search
from tests.search.watch.test_jobs import job, line

RUNS = [f"candidate {k}, seed 1" for k in range(8)]


def measured(process: psutil.Process, seconds: float, meanwhile: Callable[[float], None]) -> dict[str, Any]:
    """`meanwhile(t)` is called every two seconds."""
    before, began = process.cpu_times(), time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        meanwhile(passed)
        time.sleep(2)
    after, wall = process.cpu_times(), time.monotonic() - began
    cpu = after.user + after.system - before.user - before.system
    return {
        "seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 2),
        "share_of_a_core": round(cpu / wall, 4),
        "resident_mib": round(process.memory_info().rss / 2**20, 1),
    }


def reading(address: str) -> None:
    with suppress(OSError), urllib.request.urlopen(f"{address}events") as stream:
        while stream.readline():
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120.0, help="of every phase")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="watch-cost-") as temporary:
        search = {"rounds": 2, "candidates_per_round": arguments.candidates // 2}
        code, run = run_search(Path(temporary), search=search, prescreen={"enabled": False})
        assert code == 0
        place = job(run / "jobs", "pack", RUNS, "".join(line(name, 1, "2.0") for name in RUNS), steps=1)
        command = [sys.executable, "-u", "-m", "search.cli", "watch", str(run)]
        with driver_lock(run), subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
            assert watch.stdout is not None
            found = re.search(r"at (http://\S+)", watch.stdout.readline())
            assert found is not None
            process = psutil.Process(watch.pid)
            time.sleep(20)  # the first look, and what it imports
            phases = {"idle": measured(process, arguments.seconds, lambda passed: None)}
            threading.Thread(target=reading, args=(found[1],), daemon=True).start()
            phases["idle, a reader"] = measured(process, arguments.seconds, lambda passed: None)
            with closing(Ledger.open(run, write=True)) as ledger:

                def train(passed: float) -> None:
                    step = 1 + int(passed)
                    with (place / "log.txt").open("a", encoding="utf-8") as log:
                        log.write("".join(line(name, step, "2.5") for name in RUNS))
                    (place / "steps").write_text(str(step), encoding="ascii")
                    if int(passed) % 10 < 2:
                        ledger.record_fact("benchmark", passed)

                phases["training, a reader"] = measured(process, arguments.seconds, train)
            watch.terminate()
    result = {
        **machine(),
        "candidates": arguments.candidates,
        "load_average": os.getloadavg(),
        "cpus": os.cpu_count(),
        "phases": phases,
    }
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(phases, indent=1))


if __name__ == "__main__":
    main()
