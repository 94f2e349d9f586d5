"""What the searches of the study say: arms compared over seeds, and whether the arms were what they are called."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from eval.report.data import Setting
from eval.report.study.data import Arm, Family, StudyReport, Table, Trajectory, TrajectoryFigure
from eval.report.text import DASH, counted, number, signed_number
from eval.statistics.replicates import compare_arms
from search.config.models import SearchConfig
from search.study.base import Result, Size
from search.study.cells import CHANGE, cell, mean_over_seeds
from search.study.feedback.records import Measures, measures
from search.study.feedback.words import CLAIM, caveats, headline, methods
from search.study.settings import study_settings

ARMS = ("ranked", "none", "shuffled")
PAIRS = (("ranked", "none"), ("ranked", "shuffled"))
"""Declared beforehand; corrected together, measure by measure."""
CONTROLS = ("top of ranked", "random of none")

_DESCRIPTIONS = {
    "ranked": "later rounds are told the true ranking of all candidates so far",
    "none": "later rounds are told nothing",
    "shuffled": "later rounds are told the same candidates with their figures permuted",
}
_KINDS: dict[str, Literal["main", "other", "control"]] = {"ranked": "main", "none": "control", "shuffled": "other"}

Series = Mapping[str, Sequence[float | None]]


def unit_name(seed: int, part: str) -> str:
    return f"seed-{seed}-{part}"


def feedback_report(
    config: SearchConfig, size: Size, seeds: Sequence[int], results: Mapping[str, Result]
) -> StudyReport:
    """Of the units recorded so far; a pair of searches counts when both are there."""
    rounds = config.search.rounds
    found = {
        arm: [measures(results[name], rounds) if (name := unit_name(seed, arm)) in results else None for seed in seeds]
        for arm in ARMS
    }
    ensembles = [_ensembles(results.get(unit_name(seed, "controls"))) for seed in seeds]
    compared = config.finals.random_controls.pool > 0
    families = [
        _family("F1 of the last round", "mean F1 of the last round", _last_f1, found, primary=True),
        _family(
            "The best candidate",
            "F1 of the best candidate",
            _best_f1,
            found,
            primary=False,
            note="The best of many noisy figures is too high, in every arm alike.",
        ),
    ]
    if compared:
        values = dict(zip(CONTROLS, zip(*ensembles, strict=True), strict=True))
        families.append(
            Family(
                title=f"{config.finals.ensembles[0]} of ranked against random draws of none",
                measure="F1 on the test split after retraining",
                primary=False,
                comparisons=compare_arms(values, [CONTROLS]),
                note=f"Of each seed one retrained ensemble, and the mean of {config.finals.random_controls.pool} "
                "random ensembles of that size from everything that the search without feedback scored.",
            )
        )
    complete = all(item is not None for series in found.values() for item in series) and (
        not compared or all(unit_name(seed, "controls") in results for seed in seeds)
    )
    tables = [_outcomes(found, rounds), _by_seed(seeds, found), _proposals(found)]
    if compared:
        tables.append(_ensemble_table(config, seeds, results, ensembles))
    return StudyReport(
        name="feedback",
        title="Does feedback raise later rounds?",
        headline=headline(families[0]),
        claim=CLAIM,
        caveats=tuple(caveats(config, size, len(seeds), len(PAIRS))),
        arms=tuple(Arm(name=arm, description=_DESCRIPTIONS[arm], kind=_KINDS[arm]) for arm in ARMS),
        seeds=tuple(seeds),
        figures=(_figure(found, rounds),),
        families=tuple(families),
        tables=tuple(tables),
        methods=methods(config, len(seeds)),
        settings=_settings(config),
        size=size,
        complete=complete,
        record=dict(results),
    )


def _last_f1(found: Measures) -> float | None:
    return found.by_round_f1[-1]


def _best_f1(found: Measures) -> float | None:
    return found.best_f1


def _gain(figure: Callable[[Measures], Sequence[float | None]]) -> Callable[[Measures], float | None]:
    def gain(found: Measures) -> float | None:
        first, last = figure(found)[0], figure(found)[-1]
        return None if first is None or last is None else last - first

    return gain


Found = Mapping[str, Sequence[Measures | None]]


def _series(found: Found, figure: Callable[[Measures], float | None]) -> Series:
    return {arm: [None if item is None else figure(item) for item in items] for arm, items in found.items()}


def _family(
    title: str,
    measure: str,
    figure: Callable[[Measures], float | None],
    found: Found,
    *,
    primary: bool,
    note: str = "",
) -> Family:
    comparisons = compare_arms(_series(found, figure), PAIRS)
    return Family(title=title, measure=measure, primary=primary, comparisons=comparisons, note=note)


def _figure(found: Found, rounds: int) -> TrajectoryFigure:
    trajectories = []
    for arm, items in found.items():
        runs = tuple(item.by_round_f1 for item in items if item is not None)
        means = tuple(mean_over_seeds([run[place] for run in runs]) for place in range(rounds))
        trajectories.append(Trajectory(arm=arm, runs=runs, means=means))
    return TrajectoryFigure(
        title="Mean F1 by round",
        caption="A thin line is one search: the mean F1 of the scored candidates of each round. Large points are the "
        "means over the searches with 95 % t intervals. The first round is the same search for all arms.",
        axis=tuple(f"round {place}" for place in range(1, rounds + 1)),
        measure="mean F1",
        trajectories=tuple(trajectories),
    )


def _outcomes(found: Found, rounds: int) -> Table:
    of_rounds = ("F1, round 1", f"F1, round {rounds}", "gain in F1", "gain in accuracy")
    columns = ("arm", "searches", *of_rounds, "best F1")
    rows = []
    for arm, items in found.items():
        known = [item for item in items if item is not None]
        gains = [_gain(lambda m: m.by_round_f1)(item) for item in known]
        gains_in_accuracy = [_gain(lambda m: m.by_round_accuracy)(item) for item in known]
        cells = [
            cell(mean_over_seeds([item.by_round_f1[0] for item in known])),
            cell(mean_over_seeds([item.by_round_f1[-1] for item in known])),
            cell(mean_over_seeds(gains, CHANGE), signed_number),
            cell(mean_over_seeds(gains_in_accuracy, CHANGE), signed_number),
            cell(mean_over_seeds([item.best_f1 for item in known])),
        ]
        rows.append((arm, str(len(known)), *cells))
    rows.append(("paper, ranked, five rounds", "1", "0.596", "0.632", "+0.036", DASH, "0.787"))
    return Table(
        title="Arms",
        columns=columns,
        rows=tuple(rows),
        note="Means over searches with 95 % t intervals. The paper's row is of another task and policy. Since the arms "
        "of a seed share their first round, gains differ between arms exactly as last rounds do.",
    )


def _by_seed(seeds: Sequence[int], found: Found) -> Table:
    arms = list(found)
    rows = []
    for place, seed in enumerate(seeds):
        here = [found[arm][place] for arm in arms]
        first = next((item.by_round_f1[0] for item in here if item is not None), None)
        last = [number(item.by_round_f1[-1]) if item else DASH for item in here]
        best = [number(item.best_f1) if item else DASH for item in here]
        rows.append((f"seed {seed}", number(first), *last, *best))
    columns = ("search", "F1, round 1", *(f"last round, {arm}" for arm in arms), *(f"best, {arm}" for arm in arms))
    return Table(title="Searches", columns=columns, rows=tuple(rows))


def _proposals(found: Found) -> Table:
    rows = []
    for arm, items in found.items():
        known = [item for item in items if item is not None]
        origins: dict[str, int] = {}
        for item in known:
            for origin, count in item.origins.items():
                origins[origin] = origins.get(origin, 0) + count
        rows.append(
            (
                arm,
                str(sum(item.later for item in known)),
                str(sum(item.scored_later for item in known)),
                ", ".join(f"{origin} {count}" for origin, count in sorted(origins.items())) or DASH,
                str(sum(item.with_scored_parent for item in known)),
                cell(mean_over_seeds([item.parents_lead for item in known], CHANGE), signed_number),
            )
        )
    return Table(
        title="What the arms proposed after the first round",
        columns=("arm", "proposed", "scored", "from", "with a scored parent", "lead of the parents, F1"),
        rows=tuple(rows),
        note="The lead is the F1 of the parents minus the mean F1 of everything scored before, averaged over a "
        "search's candidates, with a 95 % t interval over searches: above 0 where parents are chosen by merit, "
        "around 0 where they are not. It checks that the arms are what they are called.",
    )


def _ensembles(record: Result | None) -> tuple[float | None, float | None]:
    """F1 of the ensemble and the mean of the random draws; None where any of them has no score."""
    entries = record["entries"] if record else []
    top = [item["f1"] for item in entries if item["kind"] == "ensemble"]
    draws = [item["f1"] for item in entries if (item["control"] or "").startswith("random draw")]
    mean = None if not draws or None in draws else math.fsum(draws) / len(draws)
    return (top[0] if top else None), mean


def _ensemble_table(
    config: SearchConfig,
    seeds: Sequence[int],
    results: Mapping[str, Result],
    ensembles: Sequence[tuple[float | None, float | None]],
) -> Table:
    rows = []
    for seed, (top, _) in zip(seeds, ensembles, strict=True):
        entries = results.get(unit_name(seed, "controls"), {"entries": []})["entries"]
        draws = [number(item["f1"]) for item in entries if (item["control"] or "").startswith("random draw")]
        others = [
            number(next((item["f1"] for item in entries if item["control"] == control), None))
            for control in ("base rewards only", "untrained base")
        ]
        rows.append((f"seed {seed}", number(top), ", ".join(draws) or DASH, *others))
    return Table(
        title="Ensembles on the test split",
        columns=(
            "search",
            f"{config.finals.ensembles[0]} of ranked",
            "random of none",
            "base rewards only",
            "untrained",
        ),
        rows=tuple(rows),
        note=f"F1 on {config.finals.test_questions} test questions; retrained with "
        f"{counted(config.finals.seeds, 'fresh seed')}. The paper drew once: random-5 at 0.047 against 0.795.",
    )


def _settings(config: SearchConfig) -> tuple[Setting, ...]:
    grpo = config.screening.grpo
    own = {
        "proposer": config.proposer.name,
        "search": f"{config.search.rounds} rounds of {config.search.candidates_per_round}",
        "screening": f"{grpo.steps} GRPO steps of {grpo.prompts_per_step} prompts x {grpo.generations} completions, "
        f"learning rate {grpo.learning_rate:g}, LoRA rank {config.screening.lora.rank}, "
        f"{counted(config.screening.seeds, 'seed')}",
        "selection": f"{config.selection_questions} questions of the {config.search.select_on} split, greedy",
        "near-duplicates": "not trained" if config.prescreen.rejects_duplicates else "trained like all others",
        "pack": str(config.executor.pack),
    }
    return study_settings(config, own)
