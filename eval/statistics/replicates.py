"""Experiments whose unit is a whole run: arms that share their seeds, compared by paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.statistics.estimate import Estimate, half_t, require_level
from eval.statistics.pairwise import adjust_p_values

POWER = 0.8
MOST_ENUMERATED = 16
"""Pairs up to which every assignment of signs is gone through; beyond, so many of them are drawn."""
DRAWN = 2**MOST_ENUMERATED
ROUNDING = 1e-12
"""Differences of shares that are closer are the same."""


class ArmComparison(NamedTuple):
    """One declared pair of arms. With fewer than two complete pairs nothing but the differences is defined."""

    first: str
    second: str
    differences: tuple[float | None, ...]
    """First minus second, one per seed; None where one of the two runs has no value."""
    estimate: Estimate | None
    """Mean of the differences, `n` of them, with Student's t interval over the seeds."""
    t_p: float | None
    """Paired t test, two-sided; None where the differences do not vary, since it has nothing to go by."""
    sign_flip_p: float | None
    """Exact sign-flip permutation test, two-sided."""
    holm_t: float | None
    """Corrected over the declared pairs, whether they could be tested or not."""
    holm_sign_flip: float | None
    least_sign_flip: float | None
    """The smallest that `holm_sign_flip` could have been with so many pairs, whatever the data."""
    detectable: float | None
    """Mean difference that a paired t test at the level divided by the number of declared pairs (the first step of
    Holm) finds with 80 % power, the standard deviation being the one observed."""


def compare_arms(
    values: Mapping[str, Sequence[float | None]], pairs: Sequence[tuple[str, str]], level: float = 0.95
) -> tuple[ArmComparison, ...]:
    """The declared pairs of arms, one family; `values` per arm, one per seed, the seeds in one order.

    None stands for a run without a value; its pair is left out of the tests and shown as missing. Raises ValueError
    where arms have different numbers of seeds.
    """
    from scipy.stats import ttest_1samp

    require_level(level)
    if len({len(series) for series in values.values()}) > 1:
        raise ValueError("every arm needs one value per seed, None where there is none")
    found = []
    for first, second in pairs:
        differences = tuple(
            None if a is None or b is None else a - b for a, b in zip(values[first], values[second], strict=True)
        )
        known = np.array([difference for difference in differences if difference is not None], dtype=np.float64)
        found.append((first, second, differences, known))
    t_values: list[float | None] = []
    flips: list[float | None] = []
    for *_, known in found:
        t_values.append(float(ttest_1samp(known, 0.0).pvalue) if _varies(known) else None)
        flips.append(sign_flip_p_value(known.tolist()) if known.size >= 2 else None)
    comparisons = []
    for (first, second, differences, known), t_p, flip_p, holm_t, holm_flip in zip(
        found, t_values, flips, _holm(t_values), _holm(flips), strict=True
    ):
        estimate = detectable = least = None
        if known.size >= 2:
            mean, std = float(known.mean()), float(known.std(ddof=1))
            half = half_t(std, known.size - 1, level) / known.size**0.5
            estimate = Estimate(mean, mean - half, mean + half, known.size, level, "Student's t over seeds")
            if _varies(known):
                detectable = smallest_detectable_paired_difference(std, known.size, POWER, (1 - level) / len(pairs))
            least = min(1.0, len(pairs) * least_sign_flip_p_value(known.size))
        comparisons.append(
            ArmComparison(first, second, differences, estimate, t_p, flip_p, holm_t, holm_flip, least, detectable)
        )
    return tuple(comparisons)


def _varies(known: NDArray[np.float64]) -> bool:
    return known.size >= 2 and float(np.ptp(known)) > ROUNDING


def smallest_detectable_paired_difference(std: float, pairs: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """Smallest mean of paired differences that a two-sided paired t test over `pairs` of them finds with `power`.

    `std`: standard deviation of the differences. Raises ValueError with fewer than two pairs or a negative std.
    """
    from scipy.integrate import simpson
    from scipy.optimize import brentq
    from scipy.special import ndtr
    from scipy.stats import chi, t

    if pairs < 2 or std < 0:
        raise ValueError(f"pairs = {pairs} must be at least 2 and std = {std} at least 0")
    freedom = pairs - 1
    # scipy's noncentral t fails at the large shifts that two or three pairs need, so its density is integrated.
    spread = np.linspace(0.0, freedom**0.5 + 10.0, 20_001)
    density = chi.pdf(spread, freedom)
    bound = float(t.isf(alpha / 2, freedom)) * spread / freedom**0.5

    def surplus(effect: float) -> float:
        shift = effect * pairs**0.5
        return float(simpson(density * (ndtr(shift - bound) + ndtr(-bound - shift)), x=spread)) - power

    high = 1.0
    while surplus(high) <= 0:
        high *= 2
    return float(brentq(surplus, 0.0, high, xtol=1e-8)) * std


def sign_flip_p_value(differences: Sequence[float]) -> float:
    """Two-sided p-value of no difference, from the mean under every assignment of signs to the differences.

    Exact where the arms of a seed are exchangeable (Fisher 1935, The Design of Experiments, ch. 3; Pitman 1937). Up to
    16 differences all assignments are counted, beyond that 2^16 are drawn. Raises ValueError for no differences.
    """
    from scipy.stats import permutation_test

    data = np.asarray(differences, dtype=np.float64)
    if data.size == 0:
        raise ValueError("there are no differences to test")
    if data.size == 1 or not data.any():
        return 1.0
    exact = data.size <= MOST_ENUMERATED
    tested = permutation_test(
        (data,),
        lambda sample, axis: np.mean(sample, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf if exact else DRAWN,
        batch=2**14,
        rng=0,
    )
    return float(tested.pvalue)


def least_sign_flip_p_value(n: int) -> float:
    """What the two-sided sign-flip test of `n` differences gives where all have one sign: no data give less."""
    return min(1.0, 2.0 ** (1 - n))


def _holm(p_values: Sequence[float | None]) -> list[float | None]:
    """A pair that could not be tested still counts as declared."""
    adjusted = adjust_p_values([1.0 if p is None else p for p in p_values], "holm")
    return [None if p is None else float(a) for p, a in zip(p_values, adjusted, strict=True)]
