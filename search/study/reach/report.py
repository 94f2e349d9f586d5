"""What the trainings of the study say: the gain curve, the support, and problems outside pretraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from eval.report.study.data import Family, TrajectoryFigure
from eval.report.study.text import verdict
from eval.statistics.estimate import Estimate
from eval.statistics.replicates import ArmComparison
from search.config.models import SearchConfig
from search.config.suites import suites_of
from search.study.base import Findings
from search.study.cells import each
from search.study.reach import measures
from search.study.reach.jobs import FIRST, LASTING, STANDARD, TILT, WITHIN, matched_name
from search.study.reach.measures import BINS, Floats, Questions
from search.study.reach.records import WINDOWS, ArmRecord, BaseRecord, SeedRecord
from search.study.words import ALPHA, Words

OUTSIDE = (STANDARD, TILT)
"""Arms that are compared outside pretraining, in order of weight."""

Series = list[float | None]
Bins = tuple[float | None, ...]
Pair = tuple[str, str]
BySuite = dict[str, Estimate | None]


class Decided(NamedTuple):
    """The primary comparisons by what holds for new seeds and for new questions."""

    lower: list[ArmComparison]
    higher: list[ArmComparison]
    open: list[ArmComparison]


@dataclass(frozen=True, kw_only=True)
class ReachFindings(Findings):
    decided: Decided | None
    """None: too few seeds have ended."""


class Claimed(NamedTuple):
    claim: str
    """As the template calls it."""
    family: Family
    wide: Mapping[Pair, Estimate | None] = {}
    """The differences with intervals for new questions too, where there are some."""


@dataclass(frozen=True)
class Sampled:
    """How often the policies were right, before and after training."""

    config: SearchConfig
    base: BaseRecord
    runs: Sequence[SeedRecord | None]

    @cached_property
    def questions(self) -> dict[str, Questions]:
        samples = self.config.search.base_rollouts.per_question
        return {name: Questions.of(self.base, name, samples) for name in self.base.first}

    @property
    def within(self) -> Questions:
        return self.questions[WITHIN]

    @cached_property
    def suites(self) -> list[str]:
        return [suite.name for suite in suites_of(self.config)]

    def after(self, arm: str, name: str) -> list[Floats | None]:
        """By seed, counts of one trained policy per question; None where it was not sampled."""
        return [measures.right_after(run, arm, name) for run in self.runs]

    def known(self, arm: str, name: str) -> list[Floats]:
        return [right for right in self.after(arm, name) if right is not None]

    def both(self, arm: str, first: str, second: str) -> list[tuple[Floats, Floats]]:
        """Counts on two kinds of questions, of the seeds that have both."""
        pairs = zip(self.after(arm, first), self.after(arm, second), strict=True)
        return [(a, b) for a, b in pairs if a is not None and b is not None]

    def gains(self, arm: str, name: str) -> Series:
        return [measures.mean_gain(self.questions[name], right) for right in self.after(arm, name)]

    @cached_property
    def tilts_within(self) -> dict[str, Series]:
        """By arm and seed."""
        return {arm: [measures.tilt_of(self.within, right) for right in self.after(arm, WITHIN)] for arm in LASTING}

    def tilt(self, arm: str, name: str) -> Estimate | None:
        """For new seeds and new questions."""
        return measures.tilt_for_new_questions(self.questions[name], self.known(arm, name))

    def solved(self, arm: str, name: str) -> Series:
        return [measures.solved(self.questions[name], right) for right in self.after(arm, name)]

    def solved_by_tilting(self, arm: str, name: str) -> Series:
        """By the tilt within the distribution."""
        return [measures.solved_by_tilting(self.questions[name], tilt) for tilt in self.tilts_within[arm]]

    def trained(self, arm: str) -> list[ArmRecord]:
        return [run.arms[arm] for run in self.runs if run is not None]

    def rises(self, arm: str, first: int, last: int) -> Series:
        """Of accuracy during training, from one window to another."""
        return each(self.runs, lambda run: run.arms[arm].rise(first, last))

    @property
    def base_by_bin(self) -> tuple[Bins, Bins]:
        """Shares within the distribution: of the base's second draw, and as the theory predicts."""
        predicted = self.within.predicted(1 / self.config.screening.grpo.beta)
        return self.within.by_bin(self.within.second / self.within.samples), self.within.by_bin(predicted)

    def shares_by_bin(self, arm: str) -> list[Bins]:
        return [self.within.by_bin(right / self.within.samples) for right in self.known(arm, WITHIN)]

    def gains_by_bin(self, arm: str) -> list[Bins]:
        return [self.within.by_bin(measures.gain_again(self.within, right)) for right in self.known(arm, WITHIN)]

    @cached_property
    def at_equal_mass(self) -> dict[str, BySuite]:
        """By arm and suite: the gain outside minus that within, for new seeds and new questions."""
        return {
            arm: {
                name: measures.behind_at_equal_mass(self.questions[name], self.within, self.both(arm, name, WITHIN))
                for name in self.suites
            }
            for arm in OUTSIDE
        }

    @cached_property
    def against_matched(self) -> dict[str, BySuite]:
        """The same against the matched controls of the suite."""

        def behind(arm: str, name: str) -> Estimate | None:
            matched = self.questions.get(matched_name(name))
            pairs = self.both(arm, name, matched_name(name))
            return measures.behind_matched(self.questions[name], matched, pairs) if matched else None

        return {arm: {name: behind(arm, name) for name in self.suites} for arm in OUTSIDE}

    @property
    def predicted_tilts(self) -> dict[str, float]:
        """What the optimum adds to the log odds: 1 / beta, and what groups whose mean includes the answer itself
        leave."""
        grpo = self.config.screening.grpo
        return {"1/beta": 1 / grpo.beta, "1/beta in such groups": (1 - 1 / grpo.generations) / grpo.beta}


def reach_findings(
    config: SearchConfig, words: Words, base: BaseRecord | None, runs: Sequence[SeedRecord | None]
) -> ReachFindings:
    if base is None:
        return ReachFindings(complete=False, decided=None)
    found, claims = Sampled(config, base, runs), words.entries("claims")
    claimed = [
        *(_at_equal_mass(words, found, arm) for arm in OUTSIDE),
        *(claim for arm in OUTSIDE if (claim := _against_matched(words, found, arm))),
        _gain_curve(words, found),
        _support(words, found),
        _first_gain(words, found),
        _saturation(words, found),
    ]
    return ReachFindings(
        complete=None not in runs,
        families=[item.family for item in claimed],
        figures=[_curve_figure(words, found), _training_figure(words, found)],
        tables=[
            words.table("claims_table", [item._replace(claim=claims[item.claim]) for item in claimed]),
            *(words.table(name, found) for name in ("new_questions_table", "gains_table", "tilts_table")),
            words.table("support_table", found),
            words.table("bins_table", found, BINS),
            words.table("training_table", found),
        ],
        decided=_decided(claimed[0].family, found.at_equal_mass[STANDARD]),
    )


def _decided(primary: Family, wide: BySuite) -> Decided | None:
    """What does not hold for new questions is not decided."""
    if all(item.estimate is None for item in primary.comparisons):
        return None
    found = Decided([], [], [])
    for item in primary.comparisons:
        behind = wide[item.first]
        holds = behind is not None and (behind.low > 0 or behind.high < 0)
        getattr(found, verdict(item, ALPHA) if holds else "open").append(item)
    return found


def _equal(name: str) -> str:
    return f"within, as {name}"


def _at_equal_mass(words: Words, found: Sampled, arm: str) -> Claimed:
    series: dict[str, Series] = {}
    for name in found.suites:
        series[name] = found.gains(arm, name)
        series[_equal(name)] = [
            measures.gain_at_equal_mass(found.questions[name], found.within, right)
            for right in found.after(arm, WITHIN)
        ]
    pairs = [(name, _equal(name)) for name in found.suites]
    family = words.family("equal_mass", series, pairs, arm, primary=arm == STANDARD)
    wide = {(name, _equal(name)): estimate for name, estimate in found.at_equal_mass[arm].items()}
    return Claimed(f"at equal base mass, {arm}", family, wide)


def _against_matched(words: Words, found: Sampled, arm: str) -> Claimed | None:
    """None where no suite has matched controls."""
    pairs = [(name, matched_name(name)) for name in found.suites if matched_name(name) in found.questions]
    if not pairs:
        return None
    series = {name: found.gains(arm, name) for pair in pairs for name in pair}
    wide = {(name, matched_name(name)): estimate for name, estimate in found.against_matched[arm].items()}
    return Claimed(f"against matched controls, {arm}", words.family("matched", series, pairs, arm), wide)


def _gain_curve(words: Words, found: Sampled) -> Claimed:
    steady: dict[str, Series] = {name: [value] * len(found.runs) for name, value in found.predicted_tilts.items()}
    pairs = [("fitted", name) for name in steady]
    family = words.family("gain_curve", {"fitted": found.tilts_within[TILT], **steady}, pairs)
    wide: dict[Pair, Estimate | None] = {}
    if tilt := found.tilt(TILT, WITHIN):
        for name, value in found.predicted_tilts.items():
            shifted = tilt._replace(value=tilt.value - value, low=tilt.low - value, high=tilt.high - value)
            wide["fitted", name] = shifted
    return Claimed("gain curve", family, wide)


def _support(words: Words, found: Sampled) -> Claimed:
    again = [estimate for before in found.questions.values() if (estimate := before.solved_again())]
    total = sum(estimate.n for estimate in again)
    share = sum(estimate.value * estimate.n for estimate in again) / total if total else None
    series: dict[str, Series] = {"base again": [share] * len(found.runs)}
    pairs: list[Pair] = []
    for arm in LASTING:
        observed = [_pooled_solved(found, arm, place) for place in range(len(found.runs))]
        series[arm] = [solved for solved, _ in observed]
        series[f"reweighted as {arm}"] = [expected for _, expected in observed]
        pairs += [(arm, "base again"), (arm, f"reweighted as {arm}")]
    return Claimed("support", words.family("support", series, pairs))


def _pooled_solved(found: Sampled, arm: str, place: int) -> tuple[float | None, float | None]:
    """Shares over all tasks, of the seed in that place: solved after training, and expected of the base reweighted."""
    observed = expected = 0.0
    total = 0
    for name, before in found.questions.items():
        if count := int(before.unsolved.sum()):
            after, reweighted = found.solved(arm, name)[place], found.solved_by_tilting(arm, name)[place]
            if after is None or reweighted is None:
                return None, None
            observed, expected, total = observed + count * after, expected + count * reweighted, total + count
    return (observed / total, expected / total) if total else (None, None)


def _first_gain(words: Words, found: Sampled) -> Claimed:
    series: dict[str, Series] = {}
    for arm in FIRST:
        errors = [measures.shape_errors(found.within, right) for right in found.after(arm, WITHIN)]
        series[f"root, {arm}"] = [error and error[0] for error in errors]
        series[f"Q(1-Q), {arm}"] = [error and error[1] for error in errors]
    pairs = [(f"Q(1-Q), {arm}", f"root, {arm}") for arm in FIRST]
    return Claimed("first gain", words.family("first_gain", series, pairs))


def _saturation(words: Words, found: Sampled) -> Claimed:
    series: dict[str, Series] = {}
    for arm in LASTING:
        middle = WINDOWS // 2 - 1
        series[f"first half, {arm}"] = found.rises(arm, 0, middle)
        series[f"second half, {arm}"] = found.rises(arm, middle, -1)
    pairs = [(f"first half, {arm}", f"second half, {arm}") for arm in LASTING]
    return Claimed("saturation", words.family("saturation", series, pairs))


def _curve_figure(words: Words, found: Sampled) -> TrajectoryFigure:
    """Accuracy after training by the base's first draw."""
    again, predicted = found.base_by_bin
    runs = {arm: found.shares_by_bin(arm) for arm in LASTING}
    return words.figure("curve_figure", {**runs, "base": [again], "predicted": [predicted]}, BINS)


def _training_figure(words: Words, found: Sampled) -> TrajectoryFigure:
    runs = {arm: [run.windows for run in found.trained(arm) if len(run.accuracy) >= WINDOWS] for arm in LASTING}
    return words.figure("training_figure", runs, WINDOWS)
