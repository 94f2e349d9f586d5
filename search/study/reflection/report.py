"""What the runs of the study say: arms compared over seeds, how accuracy and the reward developed, and what training
all weights costs beside LoRA adapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from eval.report.study.data import Family, TrajectoryFigure
from search.study.base import Findings
from search.study.cells import each, mean
from search.study.reflection.records import (
    ARMS,
    COMPONENTS,
    FINE_TUNINGS,
    REWARDS,
    FailedRun,
    FineTuned,
    ScoredRun,
    SeedRecord,
    arm,
)
from search.study.words import Words

REWARD_PAIRS = (("reflection", "plain"), ("gated", "plain"), ("gated", "reflection"))
FINE_TUNING_PAIRS = (("lora", "none"), ("full", "none"), ("full", "lora"))
WITHIN_PAIRS = tuple(
    (arm(name, reward), arm(name, "plain")) for name in FINE_TUNINGS for reward in REWARDS if reward != "plain"
)
BY_REWARD = {reward: tuple(arm(name, reward) for name in FINE_TUNINGS) for reward in REWARDS}
BY_FINE_TUNING = {name: tuple(arm(name, reward) for reward in REWARDS) for name in FINE_TUNINGS}
BY_ARM = {name: (name,) for name in ARMS}

S = TypeVar("S", FineTuned, ScoredRun)
Groups = Mapping[str, Sequence[str]]
Runs = Mapping[str, Sequence[ScoredRun | None]]
"""By arm, one run per seed; None: not there, or without a score."""


@dataclass(frozen=True, kw_only=True)
class ReflectionFindings(Findings):
    failures: Sequence[str]
    """Arm and reason of every kind of run without a score."""


def reflection_findings(words: Words, suites: Sequence[str], found: Sequence[SeedRecord | None]) -> ReflectionFindings:
    known = [item for item in found if item is not None]
    runs = {name: _runs(found, name) for name in ARMS}
    policies = {f"{name}, before GRPO": [item.fine_tunings[name] for item in known] for name in FINE_TUNINGS}
    failures = {
        f"{name}: {run.failure}" for item in known for name, run in item.arms.items() if isinstance(run, FailedRun)
    }
    return ReflectionFindings(
        complete=None not in found,
        families=_families(words, suites, runs),
        figures=(
            _figure(words, "accuracy_figure", runs, "accuracy"),
            _figure(words, "firing_figure", runs, "reflection, firing_rate"),
        ),
        tables=(
            words.table("arms_table", {**policies, **runs}),
            words.table("components_table", runs, list(COMPONENTS.values())),
            words.table("plateau_table", runs),
            words.table("sft_cost_table", sft_costs(known)),
            words.table("grpo_cost_table", grpo_costs(known)),
            words.table("paper_table"),
        ),
        failures=sorted(failures),
    )


def _runs(found: Sequence[SeedRecord | None], name: str) -> list[ScoredRun | None]:
    return each(found, lambda item: item.scored(name))


def _families(words: Words, suites: Sequence[str], runs: Runs) -> list[Family]:
    def family(macro: str, groups: Groups, pairs: Sequence[tuple[str, str]], suite: str, primary: bool) -> Family:
        values = _averaged(runs, groups, lambda run: run.suites[suite].accuracy if run.suites else None)
        return words.family(macro, values, pairs, suite, primary=primary)

    families = []
    for suite in suites:
        primary = suite == suites[0]
        families.append(family("rewards", BY_REWARD, REWARD_PAIRS, suite, primary))
        families.append(family("fine_tunings", BY_FINE_TUNING, FINE_TUNING_PAIRS, suite, primary))
    return [*families, family("rewards_by_fine_tuning", BY_ARM, WITHIN_PAIRS, suites[0], False)]


def _averaged(runs: Runs, groups: Groups, figure: Callable[[ScoredRun], float | None]) -> dict[str, list[float | None]]:
    """By group and seed the mean over its arms; None where any of them has no value: the rest would be another
    mixture."""
    averaged: dict[str, list[float | None]] = {}
    for group, arms in groups.items():
        by_seed = zip(*(each(runs[name], figure) for name in arms), strict=True)
        averaged[group] = [None if None in values else mean(values) for values in by_seed]
    return averaged


def _figure(words: Words, macro: str, runs: Runs, curve: str) -> TrajectoryFigure:
    quarters = [
        _averaged(runs, BY_REWARD, lambda run, number=number: run.quarter(curve, number))  # type: ignore[misc]
        for number in range(1, 5)
    ]
    drawn = {reward: list(zip(*(values[reward] for values in quarters), strict=True)) for reward in REWARDS}
    return words.figure(macro, {reward: [run for run in of if set(run) != {None}] for reward, of in drawn.items()})


@dataclass(frozen=True)
class CostFigure:
    name: str
    digits: int
    full: Sequence[float | None]
    """Of all weights; per seed, as `lora`."""
    lora: Sequence[float | None]

    @property
    def ratios(self) -> list[float | None]:
        pairs = zip(self.full, self.lora, strict=True)
        return [full / lora if full is not None and lora else None for full, lora in pairs]


def sft_costs(known: Sequence[SeedRecord]) -> list[CostFigure]:
    pairs = [(item.fine_tunings["full"], item.fine_tunings["lora"]) for item in known]
    tuned = [(full, lora) for full, lora in pairs if isinstance(full, FineTuned) and isinstance(lora, FineTuned)]
    return [
        _cost("processor seconds", 1, tuned, lambda stage: stage.seconds["processor"]),
        _cost("wall-clock seconds", 1, tuned, lambda stage: stage.seconds["train"]),
        _cost("peak resident memory, MiB", 0, tuned, lambda stage: _mebibytes(stage.memory, "resident")),
        _cost("peak GPU memory, MiB", 0, tuned, lambda stage: _mebibytes(stage.memory, "cuda")),
        _cost("trained parameters", 0, tuned, lambda stage: stage.trained_parameters),
        _cost("loss, first quarter", 3, tuned, lambda stage: stage.loss[0]),
        _cost("loss, last quarter", 3, tuned, lambda stage: stage.loss[1]),
    ]


def grpo_costs(known: Sequence[SeedRecord]) -> list[CostFigure]:
    """Of GRPO on the base policy with the paper's reward."""
    pairs = [(item.grpo_in_full, item.arms[arm("none", "reflection")]) for item in known]
    trained = [(full, lora) for full, lora in pairs if isinstance(full, ScoredRun) and isinstance(lora, ScoredRun)]
    return [
        _cost("wall-clock seconds", 1, trained, lambda run: run.seconds["train"]),
        _cost("peak resident memory, MiB", 0, trained, lambda run: _mebibytes(run.memory, "resident")),
        _cost("peak GPU memory, MiB", 0, trained, lambda run: _mebibytes(run.memory, "cuda")),
        _cost("accuracy of the rollouts, last quarter", 3, trained, lambda run: run.quarter("accuracy", 4)),
    ]


def _cost(name: str, digits: int, pairs: Sequence[tuple[S, S]], figure: Callable[[S], float | None]) -> CostFigure:
    return CostFigure(name, digits, [figure(full) for full, _ in pairs], [figure(lora) for _, lora in pairs])


def _mebibytes(memory: Mapping[str, int], of: str) -> float | None:
    return memory[of] / 2**20 if of in memory else None
