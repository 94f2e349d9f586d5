"""How unlike the candidates of a search are on the base policy's rollouts, and so what a decorrelation bound asks for.

    python -m tests.benchmarks.decorrelated_ensembles --work runs/prescreen

Populations: the starter library, and what `evolve` proposes in five rounds of ten under a ranking drawn by lot,
near-duplicates left out as the pre-screen does it. For each bound: the share of pairs below it, and, over rankings
drawn by lot, how many candidates the walk down a whole ranking takes and how far down `decorrelated-5` has to go.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from statistics import fmean, median
from typing import Any

from eval.similarity import RewardProfile, closest
from rewards_generated.library import library_codes
from search.config.checks import base_model_fingerprint
from search.finals.ensembles import decorrelated
from search.ledger import Candidate
from tests.benchmarks.base_rollouts import profiles_of, scores_of, testbed_rollouts
from tests.benchmarks.machine import machine
from tests.benchmarks.prescreen_duplicates import evolved_profiles

OUTPUT = Path(__file__).with_suffix(".json")
BOUNDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
RANKINGS = 200


def population(profiles: list[RewardProfile]) -> dict[str, Any]:
    by_name = {profile.name: profile for profile in profiles}
    correlations = {}
    for place, own in enumerate(profiles):
        for other in profiles[:place]:
            similarity = own.similarity(other)
            value = 0.0 if similarity is None else similarity.rank_correlation
            correlations[own.name, other.name] = correlations[other.name, own.name] = value
    ranking = [Candidate(name, 1, k, name, "", "", "", "", ()) for k, name in enumerate(by_name)]
    draw = random.Random(0)
    orders = [draw.sample(ranking, len(ranking)) for _ in range(RANKINGS)]
    values = sorted(abs(value) for value in correlations.values())
    return {
        "rewards": len(ranking),
        "median_absolute_correlation": round(median(values), 3),
        "bounds": [walk(bound, orders, correlations, values) for bound in BOUNDS],
    }


def walk(
    bound: float, orders: list[list[Candidate]], correlations: dict[tuple[str, str], float], values: list[float]
) -> dict[str, Any]:
    def correlation(first: Candidate, second: Candidate) -> float:
        return correlations[first.name, second.name]

    sizes, depths = [], []
    for order in orders:
        size = next(n for n in range(len(order), 0, -1) if decorrelated(order, n, bound, correlation))
        sizes.append(size)
        if five := decorrelated(order, 5, bound, correlation):
            depths.append(order.index(five[-1]) + 1)
    return {
        "bound": bound,
        "pairs_below": round(sum(value < bound for value in values) / len(values), 3),
        "taken_of_a_whole_ranking": round(fmean(sizes), 1),
        "five_could_be_taken": round(len(depths) / len(orders), 3),
        "rank_of_the_fifth": round(fmean(depths), 1) if depths else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="where the rollouts of the base policy are kept")
    parser.add_argument("--searches", type=int, default=2, help="of evolve")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    config, rollouts = testbed_rollouts(arguments.work)
    report: dict[str, Any] = {
        "library": population(profiles_of(config, scores_of(config, library_codes(), rollouts), rollouts)),
        "evolve": [],
    }
    for seed in range(arguments.searches):
        kept: list[RewardProfile] = []
        for _, profile in evolved_profiles(config, rollouts, seed):
            nearest = closest(profile, kept, config.prescreen.duplicate_correlation)
            if nearest is None or not nearest.duplicates(config.prescreen.duplicate_correlation or 1.0):
                kept.append(profile)
        report["evolve"].append(population(kept))
    report |= {"base_policy": base_model_fingerprint(config.base_model), "machine": machine()}
    arguments.output.write_text(json.dumps(report, indent=1) + "\n")
    print(arguments.output.read_text())


if __name__ == "__main__":
    main()
