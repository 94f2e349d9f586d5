"""Whether the headline of a quick search holds the truth: its top ensemble and the base rewards alone, over many seeds.

    reward-search run --preset testbed-quick --run-dir runs/quick
    python -m tests.benchmarks.headline_truth runs/quick [--seeds 20] [--out tests/benchmarks/headline_truth.json]

Both recipes are trained again with seeds that the search did not have and answer test questions that it did not ask.
`before` is what a report of the same runs said while its intervals held questions alone; `after` is the difference for
new questions and new seeds. Quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.report.opening import headline
from eval.statistics.estimate import Estimate
from eval.statistics.seeds import seed_question_difference, summarise_seeds
from search.config.names import BASE_ONLY
from search.driver.launch import configured_executor, recorded_config
from search.jobs.descriptions import retraining_run
from search.jobs.packing import train_runs
from search.ledger import Ledger
from search.results.entries import pairwise
from search.results.report import report_data
from tests.benchmarks.machine import machine
from trainer.determinism import derived_seed
from trainer.jobs.train import TrainingRun, TrainJob

NEW_QUESTIONS = 500
IN_A_JOB = 10


def recorded(run: Path) -> dict[str, Any]:
    """The headline, its difference with both intervals, and the finalists that it speaks of."""
    config = recorded_config(run)
    with closing(Ledger.open(run)) as ledger:
        named = ledger.milestone("winner_named")
        assert named is not None
        winner = named.detail["name"]
        table = pairwise(config, ledger)
        assert table is not None
        test = next(t for t in table.tests if {t.first, t.second} == {winner, BASE_ONLY})
        sign = 1 if test.first == winner else -1
        data = report_data(config, ledger, running=False)
        finalists = {f.name: f for f in ledger.finalists() if f.name in (winner, BASE_ONLY)}
        evidence = data.final_evidence
        assert test.seeds_difference is not None
        return {
            "headline": headline(data),
            "winner": winner,
            "before": signed(test.difference, sign),
            "after": signed(test.seeds_difference, sign),
            "deviation_between_seeds": data.luck.model_dump() if data.luck else None,
            "probability_best": {e.name: round(e.probability_best, 3) for e in evidence.entries} if evidence else None,
            "finalists": finalists,
            "config": config,
        }


def signed(found: Estimate, sign: int) -> list[float]:
    """Value, low and high."""
    bounds = sorted((sign * found.low, sign * found.high))
    return [round(sign * found.value, 4), round(bounds[0], 4), round(bounds[1], 4)]


def trained_anew(found: dict[str, Any], seeds: int) -> dict[str, NDArray[np.bool_]]:
    """By finalist, whether its runs answered new test questions rightly; shape (seeds, questions)."""
    config = found["config"]
    asked = config.finals.test_questions + NEW_QUESTIONS
    runs: dict[str, tuple[str, int]] = {}
    jobs: list[TrainingRun] = []
    for finalist in found["finalists"].values():
        for number in range(seeds):
            run = retraining_run(config, finalist, derived_seed(config.seed, "truth", number, bits=31))
            assert run.evaluation is not None
            wanted = run.evaluation.model_copy(update={"split": "test", "limit": asked})
            jobs.append(run.model_copy(update={"evaluation": wanted}))
            runs[jobs[-1].digest] = (finalist.name, number)
    tables = {name: np.zeros((seeds, NEW_QUESTIONS), dtype=bool) for name in found["finalists"]}
    packs = [TrainJob.of(*jobs[start : start + IN_A_JOB]) for start in range(0, len(jobs), IN_A_JOB)]
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(train_runs(configured_executor(config), packs, Path(folder))) as ended,
    ):
        for done in ended:
            if done.result.failure:
                raise SystemExit(f"{done.run.label}: {done.result.failure}")
            name, number = runs[done.run.digest]
            right = [prediction.correct for prediction in done.result.predictions]
            tables[name][number] = right[-NEW_QUESTIONS:]
            print(f"{name}, run {number}: {tables[name][number].mean():.3f}", flush=True)
    return tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a search that has ended")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    found = recorded(arguments.run)
    tables = trained_anew(found, arguments.seeds)
    difference = seed_question_difference(tables[found["winner"]], tables[BASE_ONLY]).estimate
    truth = signed(difference, 1)
    config = found.pop("config")
    finalists = found.pop("finalists")
    result = {
        "machine": machine(),
        "search": {"preset": config.name, "seed": config.seed, "finalists": sorted(finalists)},
        **found,
        "truth": {
            "seeds": arguments.seeds,
            "questions": NEW_QUESTIONS,
            "difference": truth,
            "by_seed": {name: table.mean(axis=1).round(3).tolist() for name, table in tables.items()},
            "deviation_between_seeds": {
                name: summarise_seeds(table.mean(axis=1).tolist()).std for name, table in tables.items()
            },
        },
        "before_holds_truth": found["before"][1] <= truth[0] <= found["before"][2],
        "after_holds_truth": found["after"][1] <= truth[0] <= found["after"][2],
    }
    print(json.dumps(result, indent=1))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
