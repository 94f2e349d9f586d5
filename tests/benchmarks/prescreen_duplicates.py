"""How alike rewards are on the base policy's rollouts, and so where a near-duplicate begins.

    python -m tests.benchmarks.prescreen_duplicates --work runs/prescreen

Two populations on the testbed's own rollouts: the starter library, which was written so that no two rewards are the
same idea; and what `evolve` proposes in five rounds of ten under a ranking drawn by lot (nothing is trained), each
compared with those before it. Counted at several thresholds: pairs by absolute rank correlation, by rank correlation,
and by ranks AND advantages, which is what the pre-screen rejects by.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eval.similarity import LEAST_INFORMATIVE, RewardProfile, Similarity, closest
from rewards_generated.gate import check
from rewards_generated.identity import identity
from rewards_generated.library import library_codes
from rewards_generated.rollout import Rollout
from search.config.checks import base_model_fingerprint
from search.config.models import SearchConfig
from search.proposers.base import Feedback, ProposalRequest, RankedCandidate
from search.proposers.evolution.evolve import EvolveProposer
from tests.benchmarks.base_rollouts import profiles_of, scores_of, testbed_rollouts
from tests.benchmarks.machine import machine

OUTPUT = Path(__file__).with_suffix(".json")
THRESHOLDS = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999)
SIZES = ((24, 4), (32, 8), (64, 8))
"""Questions and rollouts of each."""


def counted(found: list[Similarity]) -> list[dict[str, Any]]:
    return [
        {
            "threshold": threshold,
            "absolute_rank_correlation": sum(abs(item.rank_correlation) >= threshold for item in found),
            "rank_correlation": sum(item.rank_correlation >= threshold for item in found),
            "ranks_and_advantages": sum(item.duplicates(threshold) for item in found),
        }
        for threshold in THRESHOLDS
    ]


def pairs(profiles: list[RewardProfile]) -> list[tuple[str, Similarity]]:
    return [
        (own.name, similarity)
        for place, own in enumerate(profiles)
        for other in profiles[:place]
        if (similarity := own.similarity(other)) is not None
    ]


def library(config: SearchConfig, rollouts: list[Rollout]) -> list[dict[str, Any]]:
    scores = scores_of(config, library_codes(), rollouts)
    reports = []
    for questions, each in SIZES:
        kept = first(rollouts, questions, each)
        part = {name: [values[k] for k in kept] for name, values in scores.items()}
        found = pairs(profiles_of(config, part, [rollouts[k] for k in kept]))
        alike = sorted(found, key=lambda pair: -abs(pair[1].rank_correlation))[:8]
        reports.append(
            {
                "rollouts": [questions, each],
                "rewards": len(scores),
                "pairs": len(found),
                "counts": counted([similarity for _, similarity in found]),
                "most_alike": [
                    {
                        "first": name,
                        "second": item.name,
                        "ranks": item.rank_correlation,
                        "advantages": item.advantage_correlation,
                    }
                    for name, item in alike
                ],
            }
        )
    return reports


def first(rollouts: list[Rollout], questions: int, each: int) -> list[int]:
    """Places of the first rollouts of the first questions."""
    names = list(dict.fromkeys(rollout.group for rollout in rollouts))[:questions]
    places: dict[str, list[int]] = {name: [] for name in names}
    for place, rollout in enumerate(rollouts):
        if rollout.group in places and len(places[rollout.group]) < each:
            places[rollout.group].append(place)
    return [place for group in places.values() for place in group]


def evolved_profiles(config: SearchConfig, rollouts: list[Rollout], seed: int) -> Iterator[tuple[str, RewardProfile]]:
    """Origin and profile of each accepted candidate of one search by `evolve` under a ranking drawn by lot."""
    ranked: list[tuple[float, RankedCandidate]] = []
    known: set[str] = set()
    draw = random.Random(seed)
    for number in range(1, 6):
        order = tuple(item for _, item in sorted(ranked, key=lambda pair: -pair[0]))
        request = ProposalRequest(
            round=number,
            count=10,
            reflection_minimum=3,
            feedback=Feedback("ranked", order),
            task_description="",
            question_answer_pairs=(),
            rollouts=rollouts,
            seed=1000 * seed + number,
            known_identities=frozenset(known),
        )
        for item in EvolveProposer().propose(request).proposals:
            known.add(identity(item.code))
            if not check(item.code, rollouts=rollouts, settings=config.gate, sandbox=config.sandbox).accepted:
                continue
            (profile,) = profiles_of(config, scores_of(config, {item.name: item.code}, rollouts), rollouts)
            yield item.origin, profile
            luck = draw.random()
            row = RankedCandidate(
                item.name, identity(item.code), number, item.code, item.family, item.parents,
                luck, luck, luck, luck, 1.0, 0.5, 20.0,
            )  # fmt: skip
            ranked.append((luck, row))


def evolved(config: SearchConfig, rollouts: list[Rollout], seeds: range) -> dict[str, Any]:
    """Each accepted candidate against those before it in its search; none is left out, so that the counts at all
    thresholds are of the same candidates."""
    found: list[Similarity] = []
    origins: list[tuple[str, Similarity]] = []
    accepted = 0
    for seed in seeds:
        profiles: list[RewardProfile] = []
        for origin, profile in evolved_profiles(config, rollouts, seed):
            accepted += 1
            nearest = [closest(profile, profiles, threshold) for threshold in THRESHOLDS]
            if nearest[0] is not None:
                # The one that is a duplicate at the highest threshold, else the nearest.
                best = max(
                    (item for item in nearest if item is not None),
                    key=lambda s: (min(s.rank_correlation, s.advantage_correlation or -1.0), s.rank_correlation),
                )
                found.append(best)
                origins.append((origin, best))
            profiles.append(profile)
    return {
        "searches": len(seeds),
        "accepted": accepted,
        "compared": len(found),
        "counts": counted(found),
        "ranks_and_advantages_at_0.999_by_origin": {
            origin: [sum(s.duplicates(0.999) for o, s in origins if o == origin), sum(o == origin for o, _ in origins)]
            for origin in sorted({origin for origin, _ in origins})
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="where the rollouts of the base policy are kept")
    parser.add_argument("--searches", type=int, default=2, help="of evolve")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    config, rollouts = testbed_rollouts(arguments.work)
    report = {
        "least_informative": LEAST_INFORMATIVE,
        "library": library(config, rollouts),
        "evolve": evolved(config, rollouts, range(arguments.searches)),
        "base_policy": base_model_fingerprint(config.base_model),
        "machine": machine(),
    }
    arguments.output.write_text(json.dumps(report, indent=1) + "\n")
    print(arguments.output.read_text())


if __name__ == "__main__":
    main()
