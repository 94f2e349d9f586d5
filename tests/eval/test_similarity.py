"""How alike two rewards are, and when that makes one a near-duplicate of the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from eval.similarity import LEAST_INFORMATIVE, RewardProfile, advantages, closest

GROUPS = [f"q{k // 8}" for k in range(256)]
DRAW = np.random.default_rng(0)
BASE = np.where(DRAW.random(256) < 0.3, 6.0, -1.5).tolist()
LENGTH = DRAW.integers(1, 40, 256).astype(float)
NOISE = DRAW.normal(size=256)


def profile(name: str, scores: Any, **changes: Any) -> RewardProfile:
    return RewardProfile(name, [None if score is None else float(score) for score in scores], BASE, GROUPS, **changes)


def test_correlations_are_scipys() -> None:
    own, other = LENGTH + 9 * NOISE, LENGTH
    found = profile("own", own).similarity(profile("other", other))
    assert found is not None
    assert found.name == "other"
    assert found.rank_correlation == pytest.approx(stats.spearmanr(own, other).statistic, abs=1e-6)
    both = []
    for scores in (own, other):
        totals = np.array(BASE) + scores
        both.append(
            np.concatenate(
                [
                    (part - part.mean()) / (part.std(ddof=1) + 1e-4)
                    for part in (totals[start : start + 8] for start in range(0, 256, 8))
                ]
            )
        )
    assert found.advantage_correlation == pytest.approx(stats.pearsonr(*both).statistic, abs=1e-6)


def test_advantages_of_trl() -> None:
    totals = np.array([1.0, 2.0, 4.0, 5.0, 5.0])
    found = advantages(totals, ["a", "b", "a", "b", "c"])
    half = 1.5 / (4.5**0.5 + 1e-4)
    assert found == pytest.approx([-half, -half, half, half, 0.0])
    assert advantages(totals, ["a", "b", "a", "b", "c"], "none") == pytest.approx([-1.5, -1.5, 1.5, 1.5, 0.0])


def test_the_same_reward_in_other_words_is_a_duplicate() -> None:
    found = profile("own", LENGTH * 0.1).similarity(profile("other", LENGTH * 0.1 + 1e-12))
    assert found is not None
    assert (found.rank_correlation, found.advantage_correlation) == (1.0, 1.0)
    assert found.duplicates(1.0)


def test_the_same_ranks_at_another_scale_are_no_duplicate() -> None:
    """Beside the base rewards a length that pays 0.01 a word and one that pays 1 train in opposite ways."""
    found = profile("own", LENGTH * 0.01).similarity(profile("other", LENGTH))
    assert found is not None
    assert found.rank_correlation == 1.0
    assert found.advantage_correlation is not None
    assert found.advantage_correlation < 0.9
    assert not found.duplicates(0.99)


def test_the_same_advantages_in_another_order_are_no_duplicate() -> None:
    """Two rewards that are tiny beside the base rewards give their advantages, whatever they pay for."""
    found = profile("own", NOISE * 1e-4).similarity(profile("other", LENGTH * 1e-5))
    assert found is not None
    assert found.advantage_correlation is not None
    assert found.advantage_correlation > 0.97
    assert not found.duplicates(0.97)


def test_the_opposite_reward_is_no_duplicate() -> None:
    found = profile("own", -LENGTH).similarity(profile("other", LENGTH))
    assert found is not None
    assert found.rank_correlation == -1.0
    assert not found.duplicates(0.5)


@pytest.mark.parametrize(("fires", "duplicate"), [(LEAST_INFORMATIVE - 1, False), (LEAST_INFORMATIVE, True)])
def test_rewards_that_hardly_ever_differ_from_their_usual_value_prove_nothing(fires: int, duplicate: bool) -> None:
    scores = [1.0 if place < fires else 0.0 for place in range(256)]
    found = profile("own", scores).similarity(profile("other", scores))
    assert found is not None
    assert (found.rank_correlation, found.informative) == (1.0, fires)
    assert found.duplicates(0.999) is duplicate


def test_a_constant_reward_is_like_nothing() -> None:
    assert profile("own", [2.0] * 256).similarity(profile("other", LENGTH)) is None
    assert profile("own", LENGTH).similarity(profile("other", [2.0] * 256)) is None


def test_only_rollouts_that_both_scored_count() -> None:
    own = [None if place % 4 == 0 else LENGTH[place] for place in range(256)]
    other = [None if place % 4 == 1 else LENGTH[place] for place in range(256)]
    found = profile("own", own).similarity(profile("other", other))
    assert found is not None
    assert (found.rollouts, found.rank_correlation, found.advantage_correlation) == (128, 1.0, 1.0)
    assert profile("own", [None] * 256).similarity(profile("other", LENGTH)) is None


def test_closest_is_by_absolute_correlation_and_of_equals_the_first() -> None:
    own = profile("own", LENGTH)
    others = [profile(name, scores) for name, scores in [("noise", NOISE), ("opposite", -LENGTH), ("same", LENGTH)]]
    found = closest(own, others, None)
    assert found is not None
    assert found.name == "opposite"


def test_closest_is_a_duplicate_before_anything_else() -> None:
    nearly = LENGTH.copy()
    nearly[0] += 2
    own = profile("own", LENGTH)
    others = [profile("other scale", LENGTH * 1e-3), profile("nearly", nearly)]
    found = closest(own, others, 0.99)
    assert found is not None
    assert found.name == "nearly"
    assert found.duplicates(0.99)
    assert closest(own, [], 0.99) is None
