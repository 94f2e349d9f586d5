"""Whether packed screenings rank rewards as separate ones do: the testbed's twelve rewards, sampling freely.

    python -m tests.benchmarks.packed_agreement [--seeds 0,1] [--work runs/agreement]

Trains the jobs of testbed_properties as one pack per seed (finished packs in the folder are kept) and compares the
accuracies with those in testbed_properties.json, which come from separate runs: packed against separate with the same
seed, beside separate against separate with different seeds. In float32 the two round differently, a draw turns, and
from there on the completions are others; so what is to be shown is that a pack agrees with a separate run no worse
than two separate runs with different seeds agree. Writes packed_agreement.json beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.machine import machine
from tests.benchmarks.ranks import spearman
from tests.benchmarks.testbed_properties import BASE_ONLY, CONTROLS, REWARDS, job
from trainer.jobs.folder import JOB_FILE, RESULT_FILE, write_model
from trainer.jobs.process import run
from trainer.jobs.train import TrainJob, TrainResult

NAMES = (BASE_ONLY, *REWARDS, *CONTROLS)
SEPARATE = Path(__file__).with_name("testbed_properties.json")


def packed(seed: int, work: Path) -> TrainResult:
    folder = work / f"pack-{seed}"
    if not (folder / RESULT_FILE).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        pack = TrainJob.of(*(job(name, seed) for name in NAMES), label=f"seed {seed}")
        write_model(folder / JOB_FILE, pack)
        run(folder)
    result = TrainResult.model_validate_json((folder / RESULT_FILE).read_text(encoding="utf-8"))
    if result.failure or any(member.failure for member in result.members):
        raise SystemExit(f"seed {seed}: {result.failure or [member.failure for member in result.members]}")
    return result


def agreement(first: dict[str, float], second: dict[str, float]) -> dict[str, Any]:
    """Spearman's correlation over the twelve rewards, with its interval."""
    names = NAMES[1:]
    found = spearman([first[name] for name in names], [second[name] for name in names])
    difference = [first[name] - second[name] for name in NAMES]
    return {
        "spearman": round(found.value, 3),
        "interval": [round(found.low, 3), round(found.high, 3)],
        "n": found.n,
        "mean difference in accuracy": round(float(np.mean(difference)), 4),
        "standard deviation of the difference": round(float(np.std(difference, ddof=1)), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[0, 1])
    parser.add_argument("--work", type=Path, default=Path("runs/agreement"))
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    recorded = json.loads(SEPARATE.read_text(encoding="utf-8"))
    separate = {
        seed: {row["reward"]: row["by_seed"][place] for row in recorded["rewards"]}
        for place, seed in enumerate(recorded["seeds"])
    }
    packs = {seed: packed(seed, arguments.work) for seed in arguments.seeds}
    scores = {
        seed: {
            name: float(np.mean([prediction.correct for prediction in member.predictions]))
            for name, member in zip(NAMES, pack.members, strict=True)
        }
        for seed, pack in packs.items()
    }
    different = [agreement(separate[one], separate[two]) for one, two in permutations(separate, 2) if one < two]
    report = {
        "machine": machine(),
        "members of a pack": len(NAMES),
        "accuracy, packed": scores,
        "packed against separate, same seed": {seed: agreement(scores[seed], separate[seed]) for seed in packs},
        "packed against separate, different seeds": [
            {"packed": one, "separate": two, **agreement(scores[one], separate[two])}
            for one in packs
            for two in separate
            if one != two
        ],
        "separate against separate, different seeds": {
            "mean spearman": round(float(np.mean([item["spearman"] for item in different])), 3),
            "pairs": different,
        },
        "wall seconds of a pack": {seed: pack.seconds for seed, pack in packs.items()},
        "wall seconds of a separate run": recorded["seconds_per_run"],
        "load average": [round(value, 1) for value in os.getloadavg()],
    }
    arguments.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in report.items() if "against" in key}, indent=1))


if __name__ == "__main__":
    main()
