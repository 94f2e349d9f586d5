import numpy as np
import pytest
from scipy import stats

from eval.statistics.equivalence import equivalence_p_values, equivalence_test
from eval.statistics.paired import score_bounds


def answers(both, first_only, second_only, neither):
    first = [True] * both + [True] * first_only + [False] * second_only + [False] * neither
    second = [True] * both + [False] * first_only + [True] * second_only + [False] * neither
    return first, second


def test_published_example():
    """Tango 1998, Stat. Med. 17:891-908: two ways of disinfecting contact lenses, 44 pairs, b = 1, c = 0, margin
    0.1: the score statistic for non-inferiority is 1.709 and p is 0.044."""
    from eval.statistics.paired import score_statistic

    # The new treatment loses one pair: difference new - standard = -1/44, tested against -0.1.
    z = float(score_statistic(0, 1, 44, -0.1))
    assert round(z, 3) == 1.709
    assert round(float(stats.norm.sf(z)), 3) == 0.044


@pytest.mark.parametrize("counts", [(60, 5, 6, 29), (500, 60, 62, 697), (80, 2, 2, 16), (40, 20, 10, 30)])
@pytest.mark.parametrize("margin", [0.03, 0.05, 0.1])
def test_equivalent_exactly_where_the_90_percent_interval_lies_within_the_margin(counts, margin):
    first, second = answers(*counts)
    result = equivalence_test(first, second, margin)
    low, high = score_bounds(counts[1], counts[2], sum(counts), 0.9)
    assert result.equivalent == (-margin < low and high < margin)
    assert result.equivalent == (result.p_value <= 0.05)
    assert result.difference.level == pytest.approx(0.9)


def test_large_samples_agree_with_the_paired_z_test():
    """With many questions the score test is the ordinary test of per-question differences (statsmodels)."""
    from statsmodels.stats.weightstats import DescrStatsW

    first, second = answers(9000, 700, 720, 9580)
    difference = np.array(first, dtype=float) - np.array(second, dtype=float)
    theirs = DescrStatsW(difference).ttost_mean(-0.006, 0.006)[0]
    assert equivalence_test(first, second, 0.006).p_value == pytest.approx(theirs, rel=0.02)


def test_no_discordance_on_few_questions_is_not_yet_equivalence():
    assert not equivalence_test([True] * 20, [True] * 20, 0.03).equivalent
    assert equivalence_test([True] * 2000, [True] * 2000, 0.03).equivalent


@pytest.mark.parametrize("margin", [0.0, -0.1, 1.0])
def test_margin_must_be_a_share(margin):
    with pytest.raises(ValueError, match="margin"):
        equivalence_test([True, False], [True, True], margin)


@pytest.mark.parametrize(("n", "margin"), [(100, 0.15), (1319, 0.03)])
def test_size_at_the_margin(n, margin):
    """Truly different by just the margin: declared equivalent in at most 5 % of cases."""
    generator = np.random.default_rng(n)
    repeats = 20_000
    discordant = 0.25
    b = (discordant + margin) / 2
    counts = generator.multinomial(n, [b, discordant - b, 1 - discordant], size=repeats)
    rate = float((equivalence_p_values(counts[:, 0], counts[:, 1], n, margin) <= 0.05).mean())
    assert rate <= 0.05 + 4 * (0.05 * 0.95 / repeats) ** 0.5
    assert rate > 0.03 or n == 100
