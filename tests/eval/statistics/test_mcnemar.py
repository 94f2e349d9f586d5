import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from eval.statistics.pairwise import EXACT_BELOW, mcnemar_p_values


@pytest.mark.parametrize(
    ("b", "c", "exact"),
    # Fagerland, Lydersen and Laake 2013, BMC Med. Res. Methodol. 13:91: airway hyper-responsiveness before and
    # after stem cell transplantation (Bentur et al. 2009), and complete response before and after consolidation
    # therapy (Cavo et al. 2012).
    [(1, 7, 0.070), (6, 16, 0.052)],
)
def test_published_examples(b, c, exact):
    assert round(float(mcnemar_p_values(b, c)), 3) == exact


@pytest.mark.parametrize(("b", "c"), [(0, 1), (3, 3), (5, 12), (40, 22), (150, 121), (0, 60)])
def test_agrees_with_statsmodels(b, c):
    assert mcnemar_p_values(b, c) == pytest.approx(theirs(b, c, exact=b + c < EXACT_BELOW))


def theirs(b, c, exact):
    return statsmodels_mcnemar([[10, b], [c, 10]], exact=exact, correction=True).pvalue


def test_usual_rule_changes_at_25_discordant_questions():
    assert mcnemar_p_values(4, EXACT_BELOW - 5) == pytest.approx(theirs(4, EXACT_BELOW - 5, exact=True))
    assert mcnemar_p_values(4, EXACT_BELOW - 5) != pytest.approx(theirs(4, EXACT_BELOW - 5, exact=False))
    assert mcnemar_p_values(4, 21) == pytest.approx(theirs(4, 21, exact=False))


def test_no_discordant_questions_is_no_evidence():
    assert mcnemar_p_values(0, 0) == 1.0


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
    """Exact rejection rate under no difference: discordant count binomial, split evenly."""
    rate = 0.0
    total = np.arange(n + 1)
    weight = stats.binom.pmf(total, n, discordance)
    for m in total[weight > 1e-9]:
        split = np.arange(m + 1)
        chance = stats.binom.pmf(split, m, 0.5)
        rate += weight[m] * chance[mcnemar_p_values(split, m - split) <= 0.05].sum()
    assert 0.02 < rate <= 0.05
