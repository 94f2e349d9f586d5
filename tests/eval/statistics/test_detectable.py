import numpy as np
import pytest
from scipy import stats

from eval.statistics.paired import smallest_detectable_difference
from eval.statistics.pairwise import mcnemar_p_values


@pytest.mark.parametrize(("n", "discordant"), [(100, 0.3), (500, 0.3), (1319, 0.2), (2000, 0.4)])
def test_power_is_what_was_asked(n, discordant):
    difference = smallest_detectable_difference(n, discordant)
    b = (discordant + difference) / 2
    counts = np.random.default_rng(n).multinomial(n, [b, discordant - b, 1 - discordant], size=20_000)
    power = float((mcnemar_p_values(counts[:, 0], counts[:, 1]) <= 0.05).mean())
    assert power == pytest.approx(0.8, abs=0.02)


def test_connors_formula_gives_the_sample_size_back():
    difference = smallest_detectable_difference(700, 0.25, power=0.9)
    za, zb = stats.norm.ppf(0.975), stats.norm.ppf(0.9)
    seen = difference - 1 / 700  # less the continuity correction
    n = (za * 0.25**0.5 + zb * (0.25 - difference**2) ** 0.5) ** 2 / seen**2
    assert n == pytest.approx(700)


def test_more_questions_show_smaller_differences():
    assert smallest_detectable_difference(2000, 0.3) < smallest_detectable_difference(500, 0.3)


def test_too_few_questions_can_show_nothing():
    assert smallest_detectable_difference(10, 0.1) is None


@pytest.mark.parametrize(("n", "discordant"), [(0, 0.3), (10, 0.0), (10, 1.1)])
def test_impossible_designs_are_refused(n, discordant):
    with pytest.raises(ValueError, match="discordant_rate"):
        smallest_detectable_difference(n, discordant)
