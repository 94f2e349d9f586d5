"""Whether the order of rewards that a search finds holds under another loss, and on another base policy.

    python -m tests.benchmarks.transfer measure --work runs/transfer --seeds 0-1
    python -m tests.benchmarks.transfer policy --work runs/transfer
    python -m tests.benchmarks.transfer measure --work runs/transfer --seeds 0-1 --settings policy
    python -m tests.benchmarks.transfer summarise --work runs/transfer

`measure` trains eleven rewards of the library and the base rewards alone with the steps of the preset testbed-quick,
one pack per setting and seed; finished packs are kept and not repeated. The loss alone is changed (`dr_grpo` still
divides advantages by the deviation of their group). `policy` makes the second base policy: the testbed's recipe with
other text, other initial weights and two fifths of the steps. `summarise` takes what there is and writes transfer.json
beside this file. Four minutes of one core a pack, forty for the policy.

Seeds are common to all settings, and so is their luck in part. So orders are compared between runs of *different*
seeds: one run of each recipe under one setting with one run of each under another, beside the same within one setting,
which is the most that luck allows.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.machine import machine
from tests.benchmarks.testbed_properties import BASE_ONLY, CONTROLS, REWARDS, _numbers, job
from trainer.jobs.folder import JOB_FILE, RESULT_FILE, write_model
from trainer.jobs.process import run
from trainer.jobs.train import TrainingRun, TrainJob, TrainResult
from trainer.testbed.recipe import SHIPPED, Part, Recipe, build_policy

Floats = NDArray[np.float64]
NAMES = (BASE_ONLY, *(name for name in REWARDS if name != "repair_if_right"), *CONTROLS)
LOSSES = ("grpo", "dapo", "dr_grpo")
POLICY = "policy"
"""The setting of the second base policy, under the loss `grpo`."""
STEPS, QUESTIONS = 30, 300
OUTPUT = Path(__file__).with_suffix(".json")
RESAMPLED = 2000


def second_recipe() -> Recipe:
    """The shipped recipe from another seed, on text of its own and for two fifths of the steps."""

    def other(part: Part) -> Part:
        steps = part.training.steps * 2 // 5
        training = part.training.model_copy(update={"seed": part.training.seed + 1, "steps": steps})
        return Part(f"second_{part.name}", part.practice, training)

    return replace(SHIPPED, parts=tuple(other(part) for part in SHIPPED.parts))


def training_run(setting: str, name: str, seed: int, work: Path) -> TrainingRun:
    described: TrainingRun = job(name, seed)
    assert described.evaluation is not None
    loss = "grpo" if setting == POLICY else setting
    return described.model_copy(
        update={
            "base_model": str((work / POLICY).resolve()) if setting == POLICY else described.base_model,
            "grpo": described.grpo.model_copy(update={"steps": STEPS, "loss": loss}),
            "evaluation": described.evaluation.model_copy(update={"limit": QUESTIONS}),
        }
    )


def measure(work: Path, settings: list[str], seeds: list[int]) -> None:
    """Runs the packs that have no result yet, in this one process, seed by seed."""
    for seed, setting in product(seeds, settings):
        folder = work / f"{setting}-{seed}"
        if (folder / RESULT_FILE).is_file():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        pack = TrainJob.of(*(training_run(setting, name, seed, work) for name in NAMES), label=folder.name)
        write_model(folder / JOB_FILE, pack)
        run(folder)
        table = correct(folder)
        shown = ", ".join(f"{name} {right.mean():.3f}" for name, right in zip(NAMES, table, strict=True))
        print(f"{folder.name}: {shown}", flush=True)


def correct(folder: Path) -> Floats:
    """Shape (recipes, questions), in the order of `NAMES`."""
    ended = TrainResult.model_validate_json((folder / RESULT_FILE).read_text(encoding="utf-8"))
    if ended.failure or any(member.failure for member in ended.members):
        raise SystemExit(f"{folder}: {ended.failure or [member.failure for member in ended.members]}")
    return np.array([[p.correct for p in member.predictions] for member in ended.members], dtype=np.float64)


def read(work: Path) -> dict[str, dict[int, Floats]]:
    """Accuracy by setting and seed, shape (recipes,)."""
    found: dict[str, dict[int, Floats]] = {}
    for setting in (*LOSSES, POLICY):
        for path in sorted(work.glob(f"{setting}-*/{RESULT_FILE}")):
            seed = int(path.parent.name.rpartition("-")[2])
            found.setdefault(setting, {})[seed] = correct(path.parent).mean(axis=1)
    return found


def tau(first: Floats, second: Floats) -> float:
    """Kendall's tau-b."""
    from scipy.stats import kendalltau

    return float(kendalltau(first, second).statistic)


def rho(first: Floats, second: Floats) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)


def lost(chooser: Floats, judge: Floats) -> float:
    """Accuracy under `judge` of the recipe that it would pick, in hindsight, less that of the chooser's pick."""
    return float(judge.max() - judge[int(np.argmax(chooser))])


def crossed(first: dict[int, Floats], second: dict[int, Floats]) -> list[tuple[Floats, Floats]]:
    """Pairs of one run of either setting, of different seeds; of one setting each pair once."""
    if first is second:
        return [(first[a], first[b]) for a, b in combinations(first, 2)]
    return [(first[a], second[b]) for a, b in product(first, second) if a != b]


def agreement(pairs: list[tuple[Floats, Floats]], places: list[int]) -> dict[str, Any]:
    """Mean over pairs of runs, with a bootstrap over recipes, and over the pairs where there are several."""
    generator = np.random.default_rng(0)
    chosen = [(a[places], b[places]) for a, b in pairs]
    report: dict[str, Any] = {"pairs_of_runs": len(pairs), "recipes": len(places)}
    for label, statistic in (("kendall", tau), ("spearman", rho)):
        value = float(np.mean([statistic(a, b) for a, b in chosen]))
        drawn = []
        for _ in range(RESAMPLED):
            recipes = generator.integers(len(places), size=len(places))
            of_pairs = generator.integers(len(chosen), size=len(chosen))
            drawn.append(np.mean([statistic(chosen[k][0][recipes], chosen[k][1][recipes]) for k in of_pairs]))
        low, high = np.nanquantile(drawn, [0.025, 0.975])
        report[label] = [round(float(x), 3) for x in (value, low, high)]
    return report


def picking(chooser: dict[int, Floats], judge: dict[int, Floats], places: list[int]) -> dict[str, Any]:
    """What a pick by one run costs, judged by the mean of the judge's runs of other seeds."""
    losses = []
    for seed, run_of_seed in chooser.items():
        others = [accuracy for other, accuracy in judge.items() if other != seed]
        if others:
            losses.append(lost(run_of_seed[places], np.mean(others, axis=0)[places]))
    return {"mean": round(float(np.mean(losses)), 4), "by_seed": [round(loss, 4) for loss in losses]}


def summarise(work: Path) -> dict[str, Any]:
    tables = read(work)
    kinds = {"all": list(range(len(NAMES))), "without_controls": [k for k, n in enumerate(NAMES) if n not in CONTROLS]}
    rows = []
    for first, second in [(s, s) for s in tables] + list(combinations(tables, 2)):
        pairs = crossed(tables[first], tables[second])
        if not pairs:
            continue
        means = [np.mean(list(tables[s].values()), axis=0) for s in (first, second)]
        row: dict[str, Any] = {"settings": [first, second]}
        row |= {kind: agreement(pairs, places) for kind, places in kinds.items()}
        if first != second:
            row["kendall_of_means_over_seeds"] = round(tau(*means), 3)
        row["accuracy_lost_by_picking"] = {
            f"by {a}, judged by {b}, {kind}": picking(tables[a], tables[b], places)
            for a, b in dict.fromkeys([(first, second), (second, first)])
            for kind, places in kinds.items()
        }
        rows.append(row)
    losses = [tables[loss] for loss in LOSSES if loss in tables]
    pooled = {
        "one loss": [pair for table in losses for pair in crossed(table, table)],
        "two losses": [pair for one, other in combinations(losses, 2) for pair in crossed(one, other)],
    }
    return {
        "machine": machine(),
        "steps": STEPS,
        "questions": QUESTIONS,
        "seeds": {setting: sorted(runs) for setting, runs in tables.items()},
        "figures": "value, low and high of a 95 % bootstrap interval over recipes and pairs of runs",
        "same_setting_is": "two runs of different seeds: the agreement that luck allows",
        "accuracy": {
            setting: {name: [round(float(runs[seed][k]), 3) for seed in sorted(runs)] for k, name in enumerate(NAMES)}
            for setting, runs in tables.items()
        },
        "over_all_losses": {
            label: {kind: agreement(pairs, places) for kind, places in kinds.items()} for label, pairs in pooled.items()
        },
        "agreement": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["measure", "policy", "summarise"])
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=_numbers, default=[0, 1], help="such as 0-1")
    parser.add_argument("--settings", default=",".join(LOSSES), help=f"of {', '.join((*LOSSES, POLICY))}")
    arguments = parser.parse_args()
    if arguments.action == "measure":
        measure(arguments.work, arguments.settings.split(","), arguments.seeds)
    elif arguments.action == "policy":
        build_policy(arguments.work / POLICY, second_recipe(), work=arguments.work / "parts")
    else:
        OUTPUT.write_text(json.dumps(summarise(arguments.work), indent=1) + "\n", encoding="utf-8")
        print(OUTPUT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
