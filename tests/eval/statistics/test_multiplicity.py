import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from eval.statistics.pairwise import adjust_p_values

# Benjamini and Hochberg 1995, JRSS B 57:289-300, section 4: fifteen p-values; Bonferroni rejects three at 0.05,
# their procedure four.
MYOCARDIAL = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
    0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
]  # fmt: skip


def test_published_example():
    assert int((adjust_p_values(MYOCARDIAL, "bonferroni") <= 0.05).sum()) == 3
    assert int((adjust_p_values(MYOCARDIAL, "benjamini-hochberg") <= 0.05).sum()) == 4


def test_benjamini_hochberg_agrees_with_scipy():
    ours = adjust_p_values(MYOCARDIAL, "benjamini-hochberg")
    assert ours == pytest.approx(stats.false_discovery_control(MYOCARDIAL))


@pytest.mark.parametrize("p", [MYOCARDIAL, [0.03, 0.01, 0.04, 0.2, 0.005], [0.02, 0.02, 0.9], [0.7]])
def test_holm_agrees_with_statsmodels(p):
    assert adjust_p_values(p, "holm") == pytest.approx(multipletests(p, method="holm")[1])


def test_no_hypotheses_need_no_correction():
    assert adjust_p_values([], "holm").size == 0


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(ValueError, match="p-values"):
        adjust_p_values([0.5, p], "holm")


def test_family_wise_error_under_no_difference():
    generator = np.random.default_rng(1)
    false = [bool((adjust_p_values(generator.random(21), "holm") <= 0.05).any()) for _ in range(5000)]
    assert np.mean(false) <= 0.05 + 4 * (0.05 * 0.95 / 5000) ** 0.5
