"""What successive halving saves on the testbed, and what it loses: share of step budget against the top five.

    python -m tests.benchmarks.successive_halving measure --work runs/halving --seeds 0-4
    python -m tests.benchmarks.successive_halving summarise --work runs/halving

`measure` trains the rewards of testbed_properties (or `--rewards`) to the end, keeps the adapter at every rung, and
evaluates each on the same validation questions; finished runs are kept and not repeated, and several processes may
share the folder with seeds of their own. `summarise` replays the rule on these accuracies, seed by seed, for several
rungs and kept fractions, and writes successive_halving.json beside this file. A run up to a rung is the beginning of
the full run, learning-rate schedule and all, so a candidate that goes on is trained exactly as without halving.

What is compared: the top five of a halved search (those trained to the end first, then those stopped at the last rung,
...) with the top five of the same seed without halving. The luck of a seed moves the top five too, so the agreement of
full runs of different seeds stands beside it; and so does the loss that a user would see: accuracy, over the other
seeds, of the best and of the five best as each of both names them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from search.config.halving import Halving
from tests.benchmarks.machine import machine
from tests.benchmarks.runs import training
from tests.benchmarks.testbed_properties import CONTROLS, REWARDS, SETTINGS, _numbers, job
from tests.search.config.test_halving import halved

RUNGS = (10, 20, 30)
RULES = (((10,), 0.5), ((20,), 0.5), ((30,), 0.5), ((10, 20), 0.5), ((10, 20, 30), 0.5), ((20,), 0.34), ((20,), 0.25))
TOP = 5
OUTPUT = Path(__file__).with_suffix(".json")
Accuracies = dict[str, dict[int, float]]
"""Reward → steps → accuracy, of one seed."""


def measure(work: Path, seeds: list[int], names: list[str]) -> None:
    """Runs what has no result yet, in this one process, seed by seed."""
    work.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for name in names:
            target = work / f"{name}-{seed}.json"
            if target.is_file():
                continue
            started = time.perf_counter()
            record = measured(job(name, seed), work / f"{name}-{seed}")
            temporary = target.with_suffix(".partial")
            temporary.write_text(json.dumps(record))
            temporary.replace(target)
            shown = ", ".join(f"{rung}: {np.mean(right):.3f}" for rung, right in record["correct"].items())
            print(f"{name} {seed}: {shown} in {time.perf_counter() - started:.0f} s", flush=True)


def measured(description: Any, folder: Path) -> dict[str, Any]:
    """Trains one job to its end and evaluates it at every rung and there."""
    from eval.engines.base import Sampling
    from eval.engines.transformers_engine import TransformersEngine
    from eval.evaluate import evaluate
    from eval.tasks.registry import build_task
    from rewards_generated.scorer import EnsembleScorer
    from trainer.algorithms import algorithm_of
    from trainer.determinism import make_deterministic
    from trainer.policy import load_base_policy

    task = build_task(description.task)
    make_deterministic(description.hardware)
    policy = load_base_policy(description.base_model, description.hardware)
    with EnsembleScorer(description.ensemble, description.sandbox) as scorer:
        run = training(
            [description],
            policy,
            task,
            [algorithm_of(description.algorithm).scoring(description, scorer, task)],
            folder,
        )
        record = run._trainer._record_member

        def saved(member: int, logs: dict[str, Any]) -> None:
            """Keeps the adapter as it is after each rung."""
            record(member, logs)
            step = run._trainer.state.global_step
            if step in RUNGS and not (folder / str(step)).exists():
                run.save(0, folder / str(step))

        run._trainer._record_member = saved
        run.train()
    if run.failures:
        raise SystemExit(f"{description.label}: {run.failures[0]}")
    steps = description.grpo.steps
    run.save(0, folder / str(steps))
    run.release()
    engine = TransformersEngine(policy, description.evaluation.batch_size)
    examples = task.examples(description.evaluation.split, description.evaluation.limit)
    sampling = Sampling(description.evaluation.max_completion_tokens)
    correct = {}
    for rung in (*RUNGS, steps):
        predictions = evaluate(engine, task, examples, sampling, adapter=str(folder / str(rung)))
        correct[str(rung)] = [prediction.correct for prediction in predictions]
    return {"digest": description.digest, "correct": correct}


def read(work: Path, seeds: list[int]) -> dict[int, Accuracies]:
    """By seed, of those asked for. Exits if a run was made under other settings, or is missing for some seeds only."""
    found: dict[int, Accuracies] = {}
    for path in sorted(work.glob("*.json")):
        name, _, seed = path.stem.rpartition("-")
        if int(seed) not in seeds:
            continue
        record = json.loads(path.read_text())
        if record["digest"] != job(name, int(seed)).digest:
            sys.exit(f"{path} was made under other settings; remove it")
        found.setdefault(int(seed), {})[name] = {
            int(rung): float(np.mean(right)) for rung, right in record["correct"].items()
        }
    names = {frozenset(table) for table in found.values()}
    if len(names) != 1 or len(next(iter(names))) <= TOP:
        sys.exit(f"{work} must hold the same rewards, more than {TOP}, for every seed")
    return {seed: {name: found[seed][name] for name in sorted(found[seed])} for seed in sorted(found)}


def halved_order(accuracies: Accuracies, halving: Halving) -> list[str]:
    """Best first: those trained to the end by their score there, then those stopped at the last rung, and so on."""
    stopped = halved(halving, list(accuracies), lambda rung, names: {name: accuracies[name][rung] for name in names})
    last = max(max(rungs) for rungs in accuracies.values())
    reached = {name: rung or last for name, rung in stopped.items()}
    return sorted(accuracies, key=lambda name: (-reached[name], -accuracies[name][reached[name]]))


def full_order(accuracies: Accuracies) -> list[str]:
    last = max(max(rungs) for rungs in accuracies.values())
    return sorted(accuracies, key=lambda name: -accuracies[name][last])


def overlap(first: Sequence[str], second: Sequence[str]) -> float:
    return len(set(first[:TOP]) & set(second[:TOP])) / TOP


def summarise(work: Path, seeds: list[int]) -> dict[str, Any]:
    tables = read(work, seeds)
    steps = int(SETTINGS["steps"])
    names = list(next(iter(tables.values())))
    full = {seed: full_order(table) for seed, table in tables.items()}

    def elsewhere(seed: int, chosen: Sequence[str]) -> float:
        """Mean accuracy at the end over the other seeds, which had no part in the choice."""
        others = [table for other, table in tables.items() if other != seed]
        return float(np.mean([table[name][steps] for table in others for name in chosen]))

    rules = []
    for rungs, kept in RULES:
        halving = Halving(rungs=rungs, kept=kept)
        orders = {seed: halved_order(table, halving) for seed, table in tables.items()}
        report: dict[str, Any] = {
            "rungs": list(rungs),
            "kept": kept,
            "candidates_at": list(halving.candidates_at(len(names))),
            "steps_saved": round(1 - halving.step_share(len(names), steps), 4),
            "top_five_overlap": _over_seeds([overlap(orders[seed], full[seed]) for seed in tables], (0.0, 1.0)),
            "best_is_the_same": sum(orders[seed][0] == full[seed][0] for seed in tables),
        }
        if len(tables) > 1:
            for label, size in (("best", 1), ("top_five", TOP)):
                losses = [elsewhere(seed, full[seed][:size]) - elsewhere(seed, orders[seed][:size]) for seed in tables]
                report[f"accuracy_lost_{label}"] = _over_seeds(losses)
        rules.append(report)
    between = [overlap(full[a], full[b]) for a, b in permutations(tables, 2)]
    return {
        "settings": SETTINGS,
        "rewards": len(names),
        "controls": sum(name in CONTROLS for name in names),
        "seeds": list(tables),
        "rules": rules,
        "without_halving": {
            "top_five_overlap_of_two_seeds": round(float(np.mean(between)), 3) if between else None,
            "top_five_overlap_by_lot": round(TOP / len(names), 3),
        },
        "accuracy_by_rung": {
            name: {
                str(rung): round(float(np.mean([tables[s][name][rung] for s in tables])), 4) for rung in (*RUNGS, steps)
            }
            for name in names
        },
        "rank_agreement_with_the_end": {
            str(rung): _over_seeds([_spearman(table, rung, steps) for table in tables.values()]) for rung in RUNGS
        },
        "machine": machine(),
    }


def _spearman(table: Accuracies, first: int, second: int) -> float:
    from tests.benchmarks.ranks import spearman

    return spearman([table[name][first] for name in table], [table[name][second] for name in table]).value


def _over_seeds(values: Sequence[float], bounds: tuple[float, float] = (-1.0, 1.0)) -> dict[str, Any]:
    """Mean with Student's t over seeds, within the bounds of the figure; no interval where no seed differs."""
    from eval.statistics.seeds import summarise_seeds

    summary = summarise_seeds(values)
    interval = None
    if summary.interval is not None and summary.std:
        low, high = summary.interval
        interval = [round(max(low, bounds[0]), 4), round(min(high, bounds[1]), 4)]
    return {"mean": round(summary.mean, 4), "interval": interval, "by_seed": [round(value, 4) for value in values]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["measure", "summarise"])
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=_numbers, default=[0, 1, 2, 3, 4], help="such as 0-4")
    parser.add_argument("--rewards", default=",".join((*REWARDS, *CONTROLS)))
    arguments = parser.parse_args()
    if arguments.action == "measure":
        measure(arguments.work, arguments.seeds, arguments.rewards.split(","))
    else:
        OUTPUT.write_text(json.dumps(summarise(arguments.work, arguments.seeds), indent=1) + "\n")
        print(OUTPUT.read_text())


if __name__ == "__main__":
    main()
