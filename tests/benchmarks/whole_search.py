"""The search of a preset with its training runs packed, against the same search with every run in a process of its own.

    python -m tests.benchmarks.whole_search run --work runs/whole [--preset testbed]
    python -m tests.benchmarks.whole_search summarise --work runs/whole

`run` starts both searches at once, each with one job at a time and each on a core of its own, so that whatever else
the machine does weighs on both alike; either may be stopped. `summarise` compares the rounds that both have ended: the
wall-clock of their screenings, evaluation and start-up of processes included, and what came out of it, completion by
completion; and where both have come to their leaderboards, the whole of the two searches. Writes whole_search.json
beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.benchmarks.machine import machine
from trainer.jobs.folder import RESULT_FILE
from trainer.jobs.train import RunResult

ARMS = {"packed": "auto", "sequential": "1"}
OUTPUT = Path(__file__).with_suffix(".json")


def run(work: Path, preset: str) -> None:
    """Both searches to their ends; one that is stopped leaves the other alone."""
    work.mkdir(parents=True, exist_ok=True)
    searches = []
    for core, (name, pack) in zip(sorted(os.sched_getaffinity(0)), ARMS.items(), strict=False):
        command = [sys.executable, "-m", "search.cli", "run", "--preset", preset, "--run-dir", str(work / name)]
        command += ["--set", "executor.parallel_jobs=1", "--set", f"executor.pack={pack}"]
        with (work / f"{name}.log").open("w") as log:
            searches.append(subprocess.Popen(["taskset", "-c", str(core), *command], stdout=log, stderr=log))
    if len(searches) < len(ARMS):
        raise SystemExit("two cores are needed, one for each search")
    for search in searches:
        search.wait()


def opened(folder: Path) -> closing[sqlite3.Connection]:
    """The ledger of a search, to be read only."""
    return closing(sqlite3.connect(f"file:{folder / 'ledger.sqlite'}?mode=ro", uri=True))


def rounds(folder: Path) -> dict[int, dict[str, Any]]:
    """Per round whose screenings have all ended: how many runs there were, and their seconds of wall-clock."""
    found = {}
    with opened(folder) as ledger:
        for (number,) in ledger.execute("SELECT number FROM rounds ORDER BY number").fetchall():
            started = ledger.execute(
                "SELECT max(p.at), sum(NOT p.duplicate) FROM prescreenings p JOIN candidates c ON c.name = p.candidate "
                "WHERE c.round = ?",
                (number,),
            ).fetchone()
            ended = ledger.execute(
                "SELECT max(at), count(*), count(DISTINCT subject) FROM jobs WHERE stage = 'screening' AND subject IN "
                "(SELECT name FROM candidates WHERE round = ? UNION SELECT 'base-rewards-only' WHERE ? = 1)",
                (number, number),
            ).fetchone()
            if started[0] and ended[0] and ended[2] == started[1] + (number == 1):
                seconds = datetime.fromisoformat(ended[0]) - datetime.fromisoformat(started[0])
                found[number] = {"training runs": ended[1], "seconds": round(seconds.total_seconds(), 1)}
    return found


def runs_of(folder: Path, number: int) -> frozenset[str]:
    """Digests of the training runs of a round's candidates."""
    with opened(folder) as ledger:
        found = ledger.execute(
            "SELECT digest FROM jobs WHERE stage = 'screening' AND subject IN "
            "(SELECT name FROM candidates WHERE round = ?)",
            (number,),
        )
        return frozenset(digest for (digest,) in found)


def training_runs(folder: Path) -> int:
    with opened(folder) as ledger:
        found = ledger.execute("SELECT count(*) FROM jobs WHERE json_extract(description, '$.grpo') IS NOT NULL")
        return int(found.fetchone()[0])


def whole(folder: Path) -> dict[str, float] | None:
    """Seconds of wall-clock from the start to the leaderboard, part by part; None if the search has not ended."""
    with opened(folder) as ledger:
        at = {name: datetime.fromisoformat(when) for name, when in ledger.execute("SELECT name, at FROM milestones")}
        (screened,) = ledger.execute("SELECT max(at) FROM jobs WHERE stage = 'screening'").fetchone()
    if "finished" not in at:
        return None
    ends = {
        "rounds": datetime.fromisoformat(screened),
        "greedy selection": at["ensembles_fixed"],
        "retraining": at["test_opened"],
        "test and leaderboard": at["finished"],
    }
    moments = [at["started"], *ends.values()]
    seconds = [round((end - start).total_seconds(), 1) for start, end in pairwise(moments)]
    return {**dict(zip(ends, seconds, strict=True)), "all": round((moments[-1] - moments[0]).total_seconds(), 1)}


def same_completions(work: Path) -> dict[str, int]:
    """Training runs that both searches have, and those of them whose greedy answers are the same to the letter."""
    both = same = 0
    for path in (work / "sequential" / "jobs").glob(f"*/{RESULT_FILE}"):
        other = work / "packed" / "jobs" / path.parent.name / RESULT_FILE
        if other.is_file() and "adapter" in json.loads(path.read_text()):
            first, second = (RunResult.model_validate_json(file.read_bytes()) for file in (path, other))
            both += 1
            same += [p.completion for p in first.predictions] == [p.completion for p in second.predictions]
    return {"in both": both, "with the same answers to every question": same}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "summarise"])
    parser.add_argument("--work", type=Path, default=Path("runs/whole"))
    parser.add_argument("--preset", default="testbed")
    parser.add_argument("--note", default=None, help="kept in the JSON, such as what else the machine did")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    if arguments.what == "run":
        run(arguments.work, arguments.preset)
        return
    arms = {name: rounds(arguments.work / name) for name in ARMS}
    common = sorted(arms["packed"].keys() & arms["sequential"].keys())
    if not common:
        raise SystemExit("there is no round yet that both searches have ended")
    alike = [number for number in common if len({runs_of(arguments.work / name, number) for name in ARMS}) == 1]
    seconds = {name: sum(arms[name][number]["seconds"] for number in alike) for name in ARMS}
    wholes = {name: whole(arguments.work / name) for name in ARMS}
    ended = {name: found for name, found in wholes.items() if found}
    report = {
        "preset": arguments.preset,
        "seconds": ended,
        "whole search, sequential over packed": (
            round(ended["sequential"]["all"] / ended["packed"]["all"], 2) if len(ended) == len(ARMS) else None
        ),
        "rounds": arms,
        "training runs of the whole search": {name: training_runs(arguments.work / name) for name in ended},
        "rounds with the same training runs": alike,
        "those rounds, sequential over packed": round(seconds["sequential"] / seconds["packed"], 2),
        "training runs": same_completions(arguments.work),
        "note": arguments.note,
        "machine": machine(),
    }
    arguments.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
