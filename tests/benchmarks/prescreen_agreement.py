"""Whether the figures of the pre-screen say anything of how well a reward trains.

    python -m tests.benchmarks.prescreen_agreement --runs runs/properties --work runs/prescreen

`--runs`: folders of finished training runs on the testbed (job.json and result.json each), such as those that
testbed_properties measures; runs of one reward over several seeds are averaged. `--work` keeps the rollouts of the
base policy, which are made once. Per figure: Spearman's correlation with the mean accuracy over rewards, with its
interval, with and without the controls of the library. Beside it, what accuracy itself can agree with: the rank
agreement of two halves of the seeds. Seven figures are looked at and none was chosen beforehand, so one interval in
three such tables misses 0 by luck.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.prescreener import base_totals
from eval.prescreening import PreScreening, prescreening
from eval.statistics.estimate import Estimate
from search.config.checks import base_model_fingerprint
from tests.benchmarks.base_rollouts import scores_of, testbed_rollouts
from tests.benchmarks.machine import machine
from tests.benchmarks.ranks import spearman
from tests.benchmarks.runs import recorded_runs

OUTPUT = Path(__file__).with_suffix(".json")


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


FIGURES: dict[str, Callable[[PreScreening], float | None]] = {
    "AUC": lambda p: _value(p.auc),
    "preference within a question": lambda p: _value(p.preference),
    "groups with spread": lambda p: _value(p.spread),
    "groups with spread, with base rewards": lambda p: _value(p.total_spread),
    "correlation with length": lambda p: _value(p.length),
    "absolute correlation with length": lambda p: None if p.length is None else abs(p.length.value),
    "preference times spread": lambda p: (
        None if p.preference is None or p.spread is None else (p.preference.value - 0.5) * p.spread.value
    ),
}


class Reward:
    """One reward with the accuracies of its runs, by seed."""

    def __init__(self, name: str, code: str, weight: float, control: bool) -> None:
        self.name, self.code, self.weight, self.control = name, code, weight, control
        self.accuracy: dict[int, float] = {}


def read_runs(folders: Sequence[Path]) -> dict[str, Reward]:
    """By name, with weights other than 1 in it; the base rewards alone are left out, since they have no candidate."""
    from rewards_generated.library import load_library

    controls = {item.name for item in load_library() if item.role == "control"}
    rewards: dict[str, Reward] = {}
    for job, result in recorded_runs(folders):
        own = [member for member in job.ensemble.members if member.code is not None]
        if len(own) != 1 or not result.predictions or job.base_model != "testbed":
            continue
        name = own[0].name if own[0].weight == 1 else f"{own[0].name} x {own[0].weight:g}"
        assert own[0].code is not None
        reward = rewards.setdefault(name, Reward(name, own[0].code, own[0].weight, own[0].name in controls))
        if job.seed in reward.accuracy:
            sys.exit(f"a second run of {name} with seed {job.seed}; give folders of one setting")
        reward.accuracy[job.seed] = float(np.mean([prediction.correct for prediction in result.predictions]))
    if len(rewards) < 4:
        sys.exit(f"only {len(rewards)} rewards have runs; a rank correlation needs more")
    return rewards


def summarise(rewards: dict[str, Reward], work: Path) -> dict[str, Any]:
    config, rollouts = testbed_rollouts(work)
    base = base_totals(config.search.base_rewards, rollouts)
    scores = scores_of(config, {item.name: item.code for item in rewards.values()}, rollouts)
    generations = config.screening.grpo.generations
    found = {
        name: prescreening(
            rollouts,
            [None if score is None else rewards[name].weight * score for score in values],
            base,
            generations,
        )
        for name, values in scores.items()
    }
    everyone = list(rewards)
    honest = [name for name in everyone if not rewards[name].control]
    return {
        "rollouts": {"questions": len({r.group for r in rollouts}), "all": len(rollouts), "group": generations},
        "rewards": [
            {
                "reward": name,
                "control": rewards[name].control,
                "accuracy": round(float(np.mean(list(rewards[name].accuracy.values()))), 4),
                "seeds": sorted(rewards[name].accuracy),
                **{label: _rounded(figure(found[name])) for label, figure in FIGURES.items()},
            }
            for name in sorted(everyone, key=lambda name: -np.mean(list(rewards[name].accuracy.values())))
        ],
        "spearman_with_accuracy": {
            label: {
                "all": _agreement(rewards, found, figure, everyone),
                "without_controls": _agreement(rewards, found, figure, honest),
            }
            for label, figure in FIGURES.items()
        },
        "accuracy_with_itself": {"all": _halves(rewards, everyone), "without_controls": _halves(rewards, honest)},
        "base_policy": base_model_fingerprint(config.base_model),
        "machine": machine(),
    }


def _agreement(
    rewards: dict[str, Reward],
    found: dict[str, PreScreening],
    figure: Callable[[PreScreening], float | None],
    names: Sequence[str],
) -> dict[str, Any]:
    values = {name: value for name in names if (value := figure(found[name])) is not None}
    accuracies = [float(np.mean(list(rewards[name].accuracy.values()))) for name in values]
    return _shown(spearman(list(values.values()), accuracies))


def _halves(rewards: dict[str, Reward], names: Sequence[str]) -> dict[str, Any] | None:
    """Rank agreement of the mean accuracies over two disjoint halves of the seeds that all rewards share."""
    seeds = sorted(set.intersection(*(set(rewards[name].accuracy) for name in names)))
    if len(seeds) < 2:
        return None
    half = len(seeds) // 2
    means = [
        [float(np.mean([rewards[n].accuracy[s] for s in part])) for n in names] for part in (seeds[:half], seeds[half:])
    ]
    return {"seeds": [seeds[:half], seeds[half:]], **_shown(spearman(*means))}


def _shown(estimate: Estimate) -> dict[str, Any]:
    return {
        "spearman": round(estimate.value, 3),
        "interval": [round(estimate.low, 3), round(estimate.high, 3)],
        "rewards": estimate.n,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="folders of finished runs")
    parser.add_argument("--work", type=Path, required=True, help="where the rollouts of the base policy are kept")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    report = summarise(read_runs(arguments.runs), arguments.work)
    arguments.output.write_text(json.dumps(report, indent=1) + "\n")
    print(arguments.output.read_text())


if __name__ == "__main__":
    main()
