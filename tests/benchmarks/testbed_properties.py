"""Measures what the testbed must have for a search on it to mean anything, with the product's own GRPO.

Run from the repository root: `python -m tests.benchmarks.testbed_properties measure --seeds 0-4 --work runs/properties`
as often as needed (finished runs are kept and not repeated; several processes may share the folder with seeds of
their own), then `... summarise --work runs/properties`, which writes testbed_properties.json beside this file.

The twelve rewards were chosen before the policy existed. The weights of two controls were set on questions of the
development part, which no split contains, and so was the policy's text.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.machine import machine

BASE_ONLY = "base_only"
REWARDS = (
    "repair",
    "checked_arithmetic",
    "reflection_outcome",
    "valid_equation_share",
    "repair_if_right",
    "right_only_bonus",
    "solution_follows",
    "four_family_reflection",
    "uses_given_numbers",
)
CONTROLS = ("length_control", "keyword_spam_control", "shortness_control")
WEIGHTS = {"length_control": 20.0, "keyword_spam_control": 2.0}
"""Where not 1: alone, these two of the library are too weak against the base rewards to show what they do."""
QUESTIONS = 500
COMPLETION_TOKENS = 112
SETTINGS: dict[str, Any] = {
    "steps": 40,
    "prompts_per_step": 8,
    "generations": 4,
    "max_completion_tokens": COMPLETION_TOKENS,
    "learning_rate": 5e-3,
}
LORA = {"rank": 8, "alpha": 8}
OUTPUT = Path(__file__).with_suffix(".json")


def job(name: str, seed: int) -> Any:
    from eval.tasks.base import TaskReference
    from rewards_generated.base import BASE_REWARDS
    from rewards_generated.ensemble import Ensemble, Member
    from rewards_generated.library import library_codes
    from trainer.jobs.settings import GrpoSettings, Hardware, LoraSettings
    from trainer.jobs.train import EvaluationRequest, TrainingRun

    members = [Member(name=base) for base in BASE_REWARDS]
    if name != BASE_ONLY:
        members.append(Member(name=name, code=library_codes()[name], weight=WEIGHTS.get(name, 1.0)))
    return TrainingRun(
        label=name,
        base_model="testbed",
        task=TaskReference(name="testbed"),
        ensemble=Ensemble(name=name, members=tuple(members)),
        lora=LoraSettings(**LORA),
        grpo=GrpoSettings(**SETTINGS),
        seed=seed,
        evaluation=EvaluationRequest(
            split="validation", limit=QUESTIONS, max_completion_tokens=COMPLETION_TOKENS, batch_size=128
        ),
        hardware=Hardware(device="cpu", threads=1),
    )


def measure(work: Path, seeds: list[int], names: list[str]) -> None:
    """Runs what has no result yet, in this one process, seed by seed so that every reward gets its turn."""
    from trainer.jobs.folder import JOB_FILE, RESULT_FILE, write_model
    from trainer.jobs.process import run
    from trainer.jobs.train import TrainJob

    for seed in seeds:
        for name in names:
            folder = work / f"{name}-{seed}"
            if (folder / RESULT_FILE).is_file():
                continue
            folder.mkdir(parents=True, exist_ok=True)
            write_model(folder / JOB_FILE, TrainJob.of(job(name, seed)))
            started = time.perf_counter()
            ended = run(folder)
            [result] = ended.members or [ended]  # type: ignore[attr-defined]
            if result.failure:
                (folder / RESULT_FILE).unlink()
                sys.exit(f"{name}, seed {seed}: {result.failure}")
            accuracy = np.mean([prediction.correct for prediction in result.predictions])
            print(f"{name} {seed}: {accuracy:.3f} in {time.perf_counter() - started:.0f} s", flush=True)


def base_accuracy(split: str, limit: int) -> dict[str, Any]:
    """Greedy accuracy of the untrained policy, with its Wilson interval."""
    from eval.engines.base import Sampling
    from eval.engines.transformers_engine import TransformersEngine
    from eval.evaluate import evaluate
    from eval.statistics.estimate import wilson_interval
    from eval.tasks.testbed import build
    from trainer.jobs.settings import Hardware
    from trainer.policy import load_base_policy

    task = build({})
    engine = TransformersEngine(load_base_policy("testbed", Hardware(device="cpu")), 128)
    predictions = evaluate(engine, task, task.examples(split, limit), Sampling(COMPLETION_TOKENS))  # type: ignore[arg-type]
    right = sum(prediction.correct for prediction in predictions)
    return {"split": split, **wilson_interval(right, len(predictions))._asdict()}


def summarise(work: Path) -> dict[str, Any]:
    """Raises SystemExit if a run is missing for some seeds only."""
    from statsmodels.stats.power import TTestIndPower

    from eval.statistics.seeds import seed_question_mean, summarise_seeds

    scores, seconds = _read(work)
    seeds = sorted(scores[BASE_ONLY])
    rewards = [name for name in (*REWARDS, *CONTROLS) if name in scores]
    for name in rewards:
        if sorted(scores[name]) != seeds:
            sys.exit(f"{name} has seeds {sorted(scores[name])}, base_only has {seeds}")
    table = {name: np.array([scores[name][seed] for seed in seeds], dtype=float) for name in (BASE_ONLY, *rewards)}
    rows = []
    for name, correct in table.items():
        per_seed = correct.mean(axis=1)
        row: dict[str, Any] = {
            "reward": name,
            "control": name in CONTROLS,
            "accuracy": round(float(per_seed.mean()), 4),
            "by_seed": [round(float(value), 3) for value in per_seed],
            "std_over_seeds": round(float(per_seed.std(ddof=1)), 4),
        }
        if name != BASE_ONLY:
            difference = seed_question_mean(correct - table[BASE_ONLY])
            over_seeds = summarise_seeds(list(per_seed - table[BASE_ONLY].mean(axis=1)))
            row["minus_base_only"] = {
                "mean": round(difference.value, 4),
                "interval_new_seeds_and_questions": [round(difference.low, 4), round(difference.high, 4)],
                "interval_new_seeds": [round(bound, 4) for bound in over_seeds.interval or ()],
            }
        rows.append(row)
    ranked = {name: table[name].mean(axis=1) for name in table if name not in CONTROLS}
    one_run = _root_mean(scores.var(ddof=1) for scores in ranked.values())
    difference = _root_mean((a - b).var(ddof=1) for a, b in combinations(ranked.values(), 2))
    return {
        "settings": {**SETTINGS, "lora": LORA, "questions": QUESTIONS, "weights": WEIGHTS},
        "base_policy": [base_accuracy("validation", QUESTIONS), base_accuracy("validation", 1000)],
        "rewards": sorted(rows, key=lambda row: -row["accuracy"]),
        "agreement": _agreement(table, rewards, len(seeds)),
        "noise_without_controls": {
            "std_of_one_run": round(one_run, 4),
            "std_of_the_difference_of_two_rewards_at_one_seed": round(difference, 4),
            "smallest_difference_that_one_seed_resolves": round(1.96 * difference, 4),
            "smallest_difference_that_two_seeds_resolve": round(1.96 * difference / 2**0.5, 4),
            "smallest_difference_that_five_seeds_of_each_find_with_power_0.8": round(
                float(TTestIndPower().solve_power(nobs1=5, alpha=0.05, power=0.8)) * one_run, 4
            ),
        },
        "seconds_per_run": {part: round(float(np.mean(values)), 1) for part, values in seconds.items()},
        "seeds": seeds,
        "policy_sha256": json.loads(_policy_record())["weights_sha256"],
        "machine": machine(),
    }


def _root_mean(variances: Iterable[float]) -> float:
    return float(np.sqrt(np.mean(list(variances))))


def _agreement(table: dict[str, Any], rewards: list[str], seeds: int) -> dict[str, Any]:
    """Rank agreement of two disjoint halves of the seeds, and of single runs, with and without the controls."""
    from tests.benchmarks.ranks import spearman

    def means(names: list[str], which: tuple[int, ...]) -> list[float]:
        return [float(table[name][list(which)].mean()) for name in names]

    half = seeds // 2
    first, second = tuple(range(half)), tuple(range(half, seeds))
    result: dict[str, Any] = {"seed_sets": [list(first), list(second)]}
    for label, names in (("all", rewards), ("without_controls", [n for n in rewards if n not in CONTROLS])):
        estimate = spearman(means(names, first), means(names, second))
        single = [spearman(means(names, (a,)), means(names, (b,))).value for a, b in combinations(range(seeds), 2)]
        result[label] = {
            "rewards": len(names),
            "spearman": round(estimate.value, 3),
            "interval": [round(estimate.low, 3), round(estimate.high, 3)],
            "mean_of_pairs_of_single_runs": round(float(np.mean(single)), 3),
        }
    return result


def _read(work: Path) -> tuple[dict[str, dict[int, list[bool]]], dict[str, list[float]]]:
    from trainer.jobs.train import TrainResult

    scores: dict[str, dict[int, list[bool]]] = {}
    seconds: dict[str, list[float]] = {}
    for path in sorted(work.glob("*/result.json")):
        ended = TrainResult.model_validate_json(path.read_text())
        if not ended.members:
            sys.exit(f"{path}: {ended.failure}; remove it")
        [result] = ended.members
        name, _, seed = path.parent.name.rpartition("-")
        if result.digest != job(name, int(seed)).digest:
            sys.exit(f"{path} was made under other settings; remove it")
        scores.setdefault(name, {})[int(seed)] = [prediction.correct for prediction in result.predictions]
        for part, value in result.seconds.items():
            seconds.setdefault(part, []).append(value)
    if BASE_ONLY not in scores:
        sys.exit(f"no runs of {BASE_ONLY} in {work}")
    return scores, seconds


def _policy_record() -> str:
    from trainer.testbed import policy_path

    return (policy_path() / "recipe.json").read_text()


def _numbers(text: str) -> list[int]:
    low, _, high = text.partition("-")
    return list(range(int(low), int(high or low) + 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["measure", "summarise"])
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=_numbers, default=[0, 1, 2, 3, 4], help="such as 0-4")
    parser.add_argument("--rewards", default=",".join((BASE_ONLY, *REWARDS, *CONTROLS)))
    arguments = parser.parse_args()
    if arguments.action == "measure":
        measure(arguments.work, arguments.seeds, arguments.rewards.split(","))
    else:
        OUTPUT.write_text(json.dumps(summarise(arguments.work), indent=1) + "\n")
        print(OUTPUT.read_text())


if __name__ == "__main__":
    main()
