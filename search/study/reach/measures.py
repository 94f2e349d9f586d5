"""The figures of the study, from counts of right samples before and after training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from eval.statistics.estimate import Estimate, wilson_interval
from eval.statistics.seeds import seed_question_mean
from eval.statistics.tilt import (
    MassPrior,
    accuracy_at_mass,
    expected_over_mass,
    expected_tilted,
    first_gain,
    fit_mass_prior,
    fitted_tilt,
    mass_features,
    proportional_error,
    tilted,
)
from search.study.reach.records import BaseRecord, SeedRecord

Floats = NDArray[np.float64]

BINS = ("0", "to 1/4", "to 1/2", "to 3/4", "below 1", "1")
"""Of the share of right ones among the first samples of the base."""
RESAMPLED = 500


@dataclass(frozen=True)
class Questions:
    """How often the base was right on the questions of one task: two draws of `samples` each, shape (N,)."""

    samples: int
    first: Floats
    second: Floats

    @classmethod
    def of(cls, base: BaseRecord, name: str, samples: int) -> Questions:
        return cls(samples, np.array(base.first[name], dtype=float), np.array(base.second[name], dtype=float))

    @property
    def both(self) -> list[int]:
        return [int(count) for count in self.first + self.second]

    @property
    def counts(self) -> list[int]:
        """Of the first draw."""
        return [int(count) for count in self.first]

    @cached_property
    def prior(self) -> MassPrior:
        return fit_mass_prior(self.both, 2 * self.samples)

    @property
    def mass(self) -> float:
        return float((self.first + self.second).mean() / (2 * self.samples))

    @property
    def unsolved(self) -> NDArray[np.bool_]:
        """By the first draw."""
        return np.asarray(self.first == 0, dtype=bool)

    @property
    def bins(self) -> NDArray[np.int64]:
        """Place in `BINS` of each question."""
        edges = np.array([0.0, 0.25, 0.5, 0.75, 1 - 1e-9])
        return np.asarray(np.searchsorted(edges, self.first / self.samples, side="left"), dtype=np.int64)

    @property
    def bin_counts(self) -> list[int]:
        return [int(count) for count in np.bincount(self.bins, minlength=len(BINS))]

    def solved_again(self) -> Estimate | None:
        """Share of the unsolved ones that the base solves in as many samples more."""
        count = int(self.unsolved.sum())
        return wilson_interval(int((self.second[self.unsolved] > 0).sum()), count) if count else None

    def by_bin(self, values: Floats) -> tuple[float | None, ...]:
        """Means of a value per question; None for a bin without questions."""
        places = self.bins
        return tuple(
            float(values[places == place].mean()) if (places == place).any() else None for place in range(len(BINS))
        )

    @cached_property
    def features(self) -> Floats:
        """Of both draws, for `accuracy_at_mass`."""
        return mass_features(self.both, 2 * self.samples, self.prior)

    def predicted(self, tilt: float) -> Floats:
        return expected_tilted(self.both, 2 * self.samples, self.prior, tilt)


def right_after(run: SeedRecord | None, arm: str, name: str) -> Floats | None:
    """Counts of one trained policy; None where it was not sampled."""
    right = run.arms[arm].right.get(name) if run else None
    return None if right is None else np.array(right, dtype=float)


def mean_gain(before: Questions, after: Floats | None) -> float | None:
    """In accuracy of sampled answers, against both draws of the base."""
    return None if after is None else float(after.mean() / before.samples) - before.mass


def gain_again(before: Questions, after: Floats) -> Floats:
    """Per question, against the second draw alone: free of what the first was used to choose."""
    gains: Floats = (after - before.second) / before.samples
    return gains


def gain_at_equal_mass(outside: Questions, within: Questions, after: Floats | None) -> float | None:
    """Mean gain that questions within the distribution had, at the base masses of those outside."""
    if after is None:
        return None
    return accuracy_at_mass(within.features, after / within.samples, outside.features) - outside.mass


def behind_at_equal_mass(
    outside: Questions, within: Questions, after: Sequence[tuple[Floats, Floats]], level: float = 0.95
) -> Estimate | None:
    """Gain outside minus gain within at equal base mass, for new seeds and new questions. None of a single seed.

    `after`: per seed, counts outside and within. The variance between seeds over their number, plus that of the mean
    over seeds when questions are resampled; Student's t with Satterthwaite's degrees of freedom. What varies with both
    is counted twice, so the interval is rather too wide.
    """
    if len(after) < 2:
        return None
    features, known = outside.features, within.features
    shares = [(out / outside.samples, inside / within.samples) for out, inside in after]
    by_seed = np.array([out.mean() - accuracy_at_mass(known, inside, features) for out, inside in shares])
    out, inside = (np.mean([pair[place] for pair in shares], axis=0) for place in (0, 1))
    generator = np.random.default_rng(0)
    resampled = []
    for _ in range(RESAMPLED):
        a, b = generator.integers(0, out.size, out.size), generator.integers(0, inside.size, inside.size)
        resampled.append(float(out[a].mean()) - accuracy_at_mass(known[b], inside[b], features[a]))
    return _over_both(by_seed, resampled, min(out.size, inside.size), level)


def _over_both(by_seed: Floats, resampled: Sequence[float], questions: int, level: float) -> Estimate:
    """From one value per seed, and values of the mean over seeds when questions are resampled."""
    from scipy.special import stdtrit

    of_seeds, of_questions = float(by_seed.var(ddof=1)) / by_seed.size, float(np.var(resampled, ddof=1))
    total = of_seeds + of_questions
    parts = of_seeds**2 / (by_seed.size - 1) + of_questions**2 / max(1, questions - 1)
    half = float(stdtrit(max(total**2 / parts if parts else 1.0, 1.0), (1 + level) / 2)) * total**0.5
    value = float(by_seed.mean())
    return Estimate(value, value - half, value + half, questions, level, "t over seeds and questions")


def behind_matched(
    outside: Questions, matched: Questions, after: Sequence[tuple[Floats, Floats]], level: float = 0.95
) -> Estimate | None:
    """Gain outside minus that of the matched controls, pair by pair, for new seeds and pairs. None of a single seed."""
    if len(after) < 2:
        return None
    return seed_question_mean([_gains(outside, out) - _gains(matched, inside) for out, inside in after], level)


def _gains(before: Questions, after: Floats) -> Floats:
    """Per question, against both draws."""
    gains: Floats = after / before.samples - (before.first + before.second) / (2 * before.samples)
    return gains


def tilt_of(before: Questions, after: Floats | None) -> float | None:
    """The tilt that explains the accuracy after training."""
    if after is None:
        return None
    return fitted_tilt(before.both, 2 * before.samples, before.prior, float(after.mean() / before.samples))


def tilt_for_new_questions(before: Questions, after: Sequence[Floats], level: float = 0.95) -> Estimate | None:
    """`tilt_of` for new seeds and new questions. None of a single seed, or where some seed has no tilt."""
    by_seed = [tilt for right in after if (tilt := tilt_of(before, right)) is not None]
    if len(by_seed) < 2 or len(by_seed) < len(after):
        return None
    counts, mean = np.array(before.both), np.mean(after, axis=0) / before.samples
    generator = np.random.default_rng(0)
    resampled = []
    for _ in range(RESAMPLED // 5):
        drawn = generator.integers(0, mean.size, mean.size)
        tilt = fitted_tilt(counts[drawn].tolist(), 2 * before.samples, before.prior, float(mean[drawn].mean()))
        resampled += [] if tilt is None else [tilt]
    return _over_both(np.array(by_seed), resampled, mean.size, level) if len(resampled) > 1 else None


def solved(before: Questions, after: Floats | None) -> float | None:
    """Share of the questions that the base never solved in its first draw, and the trained policy did in as many."""
    unsolved = before.unsolved
    return None if after is None or not unsolved.any() else float((after[unsolved] > 0).mean())


def solved_by_tilting(before: Questions, tilt: float | None) -> float | None:
    """What `solved` is expected to be of the base reweighted with the tilt, its masses known from both draws.

    The second draw is used, since the first is 0 for all of them.
    """
    unsolved = before.unsolved
    if tilt is None or not unsolved.any():
        return None

    def any_right(mass: Floats) -> Floats:
        chance: Floats = 1 - (1 - tilted(mass, tilt)) ** before.samples
        return chance

    return float(expected_over_mass(any_right, before.both, 2 * before.samples, before.prior)[unsolved].mean())


def shape_errors(before: Questions, after: Floats | None) -> tuple[float, float] | None:
    """Mean squared errors of the first gain around multiples of sqrt(Q (1 - Q)) and of Q (1 - Q), bin by bin of the
    first draw, weighted by questions."""
    if after is None:
        return None
    prior = fit_mass_prior(before.counts, before.samples)
    places = before.bins
    weights = np.sqrt(np.array(before.bin_counts)[np.unique(places)])
    gains = _binned(gain_again(before, after), places)
    scaled, plain = (
        _binned(expected_over_mass(partial(first_gain, scaled=kind), before.counts, before.samples, prior), places)
        for kind in (True, False)
    )
    return proportional_error(scaled * weights, gains * weights), proportional_error(plain * weights, gains * weights)


def _binned(values: Floats, places: NDArray[np.int64]) -> Floats:
    return np.array([values[places == place].mean() for place in np.unique(places)], dtype=np.float64)
