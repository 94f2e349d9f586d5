import numpy as np
import pytest
from scipy import stats

from eval.statistics.pairwise import cochran_q


def test_published_example():
    """Cochran 1950, Biometrika 37:256-266, table 1: four media for diphtheria bacilli in 69 specimens, Q = 8.05 on
    3 degrees of freedom."""
    patterns = [((1, 1, 1, 1), 4), ((1, 1, 0, 1), 2), ((0, 1, 1, 1), 3), ((0, 1, 0, 1), 1), ((0, 0, 0, 0), 59)]
    table = np.array([pattern for pattern, count in patterns for _ in range(count)]).T
    result = cochran_q(table)
    assert round(result.statistic, 2) == 8.05
    assert result.degrees_of_freedom == 3
    assert result.p_value == pytest.approx(stats.chi2.sf(result.statistic, 3))


def test_formula_by_hand():
    table = np.random.default_rng(3).random((4, 50)) < np.array([[0.4], [0.5], [0.6], [0.55]])
    columns, rows = table.sum(axis=1), table.sum(axis=0)
    k = 4
    q = (k - 1) * (k * (columns**2).sum() - columns.sum() ** 2) / (k * rows.sum() - (rows**2).sum())
    assert cochran_q(table).statistic == pytest.approx(q)


def test_two_policies_are_mcnemars_test():
    first = np.array([1] * 12 + [0] * 5 + [1] * 20, dtype=bool)
    second = np.array([0] * 12 + [1] * 5 + [1] * 20, dtype=bool)
    assert cochran_q([first, second]).statistic == pytest.approx((12 - 5) ** 2 / 17)


def test_full_agreement_is_no_evidence():
    assert cochran_q([[True, False, True]] * 3) == (0.0, 2, 1.0)


@pytest.mark.parametrize("table", [[[True, False]], [[], []], [True, False]])
def test_too_little_is_refused(table):
    with pytest.raises(ValueError, match="Cochran"):
        cochran_q(table)


def test_size_under_no_difference():
    generator = np.random.default_rng(5)
    difficulty = generator.random((1, 100))
    rejected = [cochran_q(generator.random((5, 100)) < difficulty).p_value <= 0.05 for _ in range(600)]
    assert abs(np.mean(rejected) - 0.05) <= 4 * (0.05 * 0.95 / 600) ** 0.5
