import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from eval.statistics.mcnemar import EXACT_BELOW, mcnemar_p_values


@pytest.mark.parametrize(
    ("b", "c", "exact", "mid_p"),
    # Fagerland, Lydersen and Laake 2013, BMC Med. Res. Methodol. 13:91: airway hyper-responsiveness before and
    # after stem cell transplantation (Bentur et al. 2009), and complete response before and after consolidation
    # therapy (Cavo et al. 2012).
    [(1, 7, 0.070, 0.039), (6, 16, 0.052, 0.035)],
)
def test_published_examples(b, c, exact, mid_p):
    assert round(float(mcnemar_p_values(b, c, "exact")), 3) == exact
    assert round(float(mcnemar_p_values(b, c, "mid-p")), 3) == mid_p


@pytest.mark.parametrize(("b", "c"), [(0, 1), (3, 3), (5, 12), (40, 22), (150, 121), (0, 60)])
def test_agrees_with_statsmodels(b, c):
    table = [[10, b], [c, 10]]
    assert mcnemar_p_values(b, c, "exact") == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue)
    theirs = statsmodels_mcnemar(table, exact=False, correction=True).pvalue
    assert mcnemar_p_values(b, c, "chi-square") == pytest.approx(theirs) or abs(b - c) <= 1


def test_mid_p_is_exact_less_half_the_probability_of_the_outcome():
    for b in range(12):
        for c in range(12):
            weights = stats.binom.pmf(np.arange(b + c + 1), b + c, 0.5)
            tail = 2 * (weights[: min(b, c)].sum() + 0.5 * weights[min(b, c)])
            expected = 1.0 if b == c else min(1.0, tail)
            assert mcnemar_p_values(b, c, "mid-p") == pytest.approx(expected)


def test_usual_rule_changes_at_25_discordant_questions():
    assert mcnemar_p_values(4, EXACT_BELOW - 5) == mcnemar_p_values(4, EXACT_BELOW - 5, "exact")
    assert mcnemar_p_values(4, EXACT_BELOW - 5) != mcnemar_p_values(4, EXACT_BELOW - 5, "chi-square")
    assert mcnemar_p_values(4, 21) == mcnemar_p_values(4, 21, "chi-square")


def test_no_discordant_questions_is_no_evidence():
    for method in ("auto", "exact", "mid-p", "chi-square"):
        assert mcnemar_p_values(0, 0, method) == 1.0


def test_many_tables_at_once_equal_one_by_one():
    b, c = np.meshgrid(np.arange(0, 40, 3), np.arange(0, 40, 3))
    together = mcnemar_p_values(b, c)
    for index in np.ndindex(b.shape):
        assert together[index] == mcnemar_p_values(int(b[index]), int(c[index]))


def test_order_of_the_two_does_not_matter():
    assert mcnemar_p_values(5, 17) == mcnemar_p_values(17, 5)


@pytest.mark.parametrize("discordance", [0.1, 0.3])
@pytest.mark.parametrize("n", [100, 1319])
def test_size_by_enumeration(n, discordance):
    """Exact rejection rate under no difference: discordant count binomial, split evenly. `exact` never passes the
    level; `mid-p` nearly holds it."""
    rates = {"exact": 0.0, "mid-p": 0.0, "auto": 0.0}
    total = np.arange(n + 1)
    weight = stats.binom.pmf(total, n, discordance)
    for m in total[weight > 1e-9]:
        split = np.arange(m + 1)
        chance = stats.binom.pmf(split, m, 0.5)
        for method in rates:
            rejected = mcnemar_p_values(split, m - split, method) <= 0.05
            rates[method] += weight[m] * chance[rejected].sum()
    assert rates["exact"] <= 0.05
    assert 0.02 < rates["auto"] <= 0.05
    assert 0.035 < rates["mid-p"] <= 0.0525
