"""Questions drawn from strata: what is drawn, and the variance that is saved, against simulated draws."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from eval.statistics.strata import draw_strata, variance_saved


@pytest.mark.parametrize(("size", "count", "strata"), [(40, 12, 4), (41, 40, 3), (8, 7, 5), (100, 37, 6), (5, 5, 5)])
def test_strata_follow_the_values_and_are_drawn_in_proportion(size: int, count: int, strata: int) -> None:
    values = np.random.default_rng(size).integers(0, 9, size) / 8
    drawn = draw_strata(values.tolist(), count, strata, np.random.default_rng(1))
    places = [place for part in drawn for place in part]
    assert len(set(places)) == count
    assert len(drawn) == strata
    assert max(map(len, drawn)) - min(map(len, drawn)) <= 1
    assert all(values[before].max() <= values[after].min() for before, after in pairwise(drawn))


def test_what_is_drawn_follows_from_the_generator_alone() -> None:
    values = [0.0] * 20 + [1.0] * 20
    same = [draw_strata(values, 10, 2, np.random.default_rng(4)) for _ in range(2)]
    assert same[0] == same[1] != draw_strata(values, 10, 2, np.random.default_rng(5))


def test_every_value_is_drawn_equally_often() -> None:
    rng, counts = np.random.default_rng(2), np.zeros(30)
    values = [0.0] * 22 + [0.5] * 3 + [1.0] * 5
    for _ in range(6000):
        counts[[place for part in draw_strata(values, 7, 3, rng) for place in part]] += 1
    assert counts / 6000 == pytest.approx(7 / 30, abs=0.03)


@pytest.mark.parametrize(("count", "strata"), [(0, 1), (5, 6), (7, 2), (3, 0)])
def test_what_cannot_be_drawn_is_refused(count: int, strata: int) -> None:
    with pytest.raises(ValueError, match="cannot be drawn"):
        draw_strata([0.0] * 6, count, strata, np.random.default_rng(0))


def test_the_share_saved_is_that_of_simulated_draws() -> None:
    """Pools are drawn of endless questions, and questions of a pool from strata or at random."""
    rng = np.random.default_rng(3)
    pool, count, strata, policies = 120, 40, 4, 3
    means: dict[str, list[np.ndarray]] = {"strata": [], "random": []}
    told = []
    for _ in range(4000):
        mass = rng.beta(0.6, 0.6, pool)
        answers = (rng.random((policies, pool)) < mass).astype(float)
        drawn = draw_strata(rng.binomial(8, mass).tolist(), count, strata, rng)
        places = [place for part in drawn for place in part]
        which = [number for number, part in enumerate(drawn) for _ in part]
        means["strata"].append(answers[:, places].mean(axis=1))
        means["random"].append(answers[:, :count].mean(axis=1))
        saved = variance_saved(answers[:, places], which, pool)
        assert saved is not None
        told.append(saved)
    assert np.mean(means["strata"]) == pytest.approx(0.5, abs=0.003)
    variance = {how: float(np.var(found, axis=0).mean()) for how, found in means.items()}
    true = 1 - variance["strata"] / variance["random"]
    assert true > 0.15
    assert np.mean([saved.value for saved in told]) == pytest.approx(true, abs=0.03)
    assert 0.9 < np.mean([saved.low <= true <= saved.high for saved in told]) < 0.99


def test_nothing_is_saved_where_strata_say_nothing() -> None:
    rng = np.random.default_rng(5)
    found = [variance_saved(rng.random((2, 60)), [0] * 30 + [1] * 30, 240) for _ in range(300)]
    assert np.mean([saved.value for saved in found if saved]) == pytest.approx(0, abs=0.005)


def test_a_pool_that_is_hardly_larger_saves_hardly_anything() -> None:
    answers = np.array([[0.0] * 9 + [1.0], [0.0] + [1.0] * 9])
    answers = np.hstack([answers, 1 - answers])
    which = [0] * 10 + [1] * 10
    small, large = (variance_saved(answers, which, pool) for pool in (21, 21_000))
    assert small is not None
    assert large is not None
    assert small.value == pytest.approx(large.value / 20.98, rel=0.01)


def test_without_two_questions_of_a_stratum_or_any_variance_nothing_is_known() -> None:
    assert variance_saved([[0.0, 1.0, 1.0]], [0, 0, 1], 30) is None
    assert variance_saved([[1.0] * 4], [0, 0, 1, 1], 40) is None
