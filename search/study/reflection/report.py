"""What the runs of the study say: arms compared over seeds, the components of the reward, and what full tuning "
"costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from eval.report.data import Setting
from eval.report.study.data import Arm, Family, StudyReport, Trajectory, TrajectoryFigure
from eval.statistics.estimate import Estimate
from eval.statistics.replicates import compare_arms
from search.config.models import SearchConfig
from search.study.base import Result, Size
from search.study.cells import mean_over_seeds
from search.study.reflection.arms import ARMS, FINE_TUNINGS, REWARDS, arm
from search.study.reflection.records import quarter
from search.study.reflection.tables import (
    arms_table,
    components_table,
    cost_table,
    grpo_cost_table,
    paper_table,
    plateau_table,
)
from search.study.reflection.words import CLAIM, DESCRIPTIONS, caveats, headline, methods
from search.study.settings import study_settings

REWARD_PAIRS = (("reflection", "plain"), ("gated", "plain"), ("gated", "reflection"))
FINE_TUNING_PAIRS = (("lora", "none"), ("full", "none"), ("full", "lora"))
WITHIN_PAIRS = tuple(
    (arm(name, reward), arm(name, "plain")) for name in FINE_TUNINGS for reward in REWARDS if reward != "plain"
)
QUARTERS = ("first quarter", "second quarter", "third quarter", "last quarter")

Runs = Mapping[str, Sequence[Result | None]]
"""By arm, one run per seed; None: not there, or without a score."""


def unit_name(seed: int) -> str:
    return f"seed-{seed}"


def reflection_report(
    config: SearchConfig,
    size: Size,
    sft_steps: int,
    suites: Sequence[str],
    seeds: Sequence[int],
    results: Mapping[str, Result],
) -> StudyReport:
    """Of the units recorded so far."""
    found = [results.get(unit_name(seed)) for seed in seeds]
    runs = {name: [_scored(item, name) for item in found] for name in ARMS}
    families = _families(suites, runs)
    failures = sorted(
        {
            f"{name}: {item['arms'][name]['failure']}"
            for item in found
            if item
            for name in ARMS
            if item["arms"][name]["failure"]
        }
    )
    return StudyReport(
        name="reflection",
        title="Does a reflection reward help, and fine-tuning before GRPO?",
        headline=headline(families[0], families[1]),
        claim=CLAIM,
        caveats=tuple(caveats(config, size, len(seeds), failures)),
        arms=tuple(
            Arm(
                name=reward,
                description=DESCRIPTIONS[reward],
                kind={"reflection": "main", "gated": "other", "plain": "control"}[reward],
            )
            for reward in REWARDS
        ),
        seeds=tuple(seeds),
        figures=(
            _figure(
                runs,
                "Accuracy of the rollouts",
                "accuracy",
                "A thin line is one seed, averaged over the three kinds of fine-tuning; large points are means over "
                "the seeds with 95 % t intervals. Rollouts are sampled, so they are right less often than greedy "
                "answers.",
            ),
            _figure(
                runs,
                "Rollouts in which the reflection reward fires",
                "reflection, firing_rate",
                "The same runs. The reward is measured in every arm, whether it is paid or not.",
            ),
        ),
        families=families,
        tables=(
            arms_table(suites, runs, found),
            components_table(runs),
            plateau_table(runs),
            cost_table(sft_steps, found),
            grpo_cost_table(found),
            paper_table(),
        ),
        methods=methods(config, sft_steps, suites, len(seeds)),
        settings=_settings(config, sft_steps),
        size=size,
        complete=all(item is not None for item in found),
        record=dict(results),
    )


def _scored(unit: Result | None, name: str) -> Result | None:
    if unit is None or unit["arms"][name]["failure"] is not None:
        return None
    run: Result = unit["arms"][name]
    return run


def _families(suites: Sequence[str], runs: Runs) -> tuple[Family, ...]:
    families = []
    for place, suite in enumerate(suites):
        for title, groups, pairs in (
            ("What is paid for reflection", _by_reward(), REWARD_PAIRS),
            ("Fine-tuning before GRPO", _by_fine_tuning(), FINE_TUNING_PAIRS),
        ):
            values = {name: _averaged(runs, group, _accuracy(suite)) for name, group in groups.items()}
            over = "fine-tunings" if pairs is REWARD_PAIRS else "rewards"
            families.append(
                Family(
                    title=f"{title}, {suite}",
                    measure=f"accuracy, {suite}",
                    primary=place == 0,
                    comparisons=compare_arms(values, pairs),
                    note=f"Of each seed the mean over the three {over}.",
                )
            )
    values = {name: _averaged(runs, (name,), _accuracy(suites[0])) for name in ARMS}
    families.append(
        Family(
            title=f"What is paid for reflection, by fine-tuning, {suites[0]}",
            measure=f"accuracy, {suites[0]}",
            primary=False,
            comparisons=compare_arms(values, WITHIN_PAIRS),
        )
    )
    return tuple(families)


def _by_reward() -> dict[str, tuple[str, ...]]:
    return {reward: tuple(arm(name, reward) for name in FINE_TUNINGS) for reward in REWARDS}


def _by_fine_tuning() -> dict[str, tuple[str, ...]]:
    return {name: tuple(arm(name, reward) for reward in REWARDS) for name in FINE_TUNINGS}


def _accuracy(suite: str) -> Callable[[Result], float | None]:
    def accuracy(run: Result) -> float | None:
        value: float | None = run["suites"][suite]["accuracy"]
        return value

    return accuracy


def _averaged(runs: Runs, arms: Sequence[str], figure: Callable[[Result], float | None]) -> list[float | None]:
    """Per seed the mean over the arms; None where any of them has no value: the rest would be another mixture."""
    averaged: list[float | None] = []
    for of_seed in zip(*(runs[name] for name in arms), strict=True):
        values = [None if run is None else figure(run) for run in of_seed]
        known = [value for value in values if value is not None]
        averaged.append(math.fsum(known) / len(known) if len(known) == len(values) else None)
    return averaged


def _figure(runs: Runs, title: str, curve: str, caption: str) -> TrajectoryFigure:
    trajectories = []
    for reward, group in _by_reward().items():
        quarters = [
            _averaged(runs, group, lambda run, number=number: quarter(run, curve, number))  # type: ignore[misc]
            for number in range(1, len(QUARTERS) + 1)
        ]
        per_seed = tuple(run for run in zip(*quarters, strict=True) if any(value is not None for value in run))
        means: tuple[Estimate | None, ...] = tuple(mean_over_seeds(values) for values in quarters)
        trajectories.append(Trajectory(arm=reward, runs=per_seed, means=means))
    return TrajectoryFigure(
        title=title, caption=caption, axis=QUARTERS, measure=title.lower(), trajectories=tuple(trajectories)
    )


def _settings(config: SearchConfig, sft_steps: int) -> tuple[Setting, ...]:
    grpo = config.screening.grpo
    own = {
        "fine-tuning": f"{sft_steps} steps of 16 traces, learning rate 5e-3 (LoRA, rank 16, alpha 64) or 5e-4 (full)",
        "GRPO": f"{grpo.steps} steps of {grpo.prompts_per_step} prompts x {grpo.generations} completions, "
        f"learning rate {grpo.learning_rate:g}, LoRA rank {config.screening.lora.rank}, beta {grpo.beta:g}",
        "evaluation": f"{config.finals.test_questions} test questions of each suite, greedy",
    }
    return study_settings(config, own)
