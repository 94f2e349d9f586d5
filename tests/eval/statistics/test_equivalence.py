import numpy as np
import pytest
from scipy import stats

from eval.statistics.paired import equivalence_p_values, score_bounds


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
    p_value = equivalence_p_values(counts[1], counts[2], sum(counts), margin)
    low, high = score_bounds(counts[1], counts[2], sum(counts), 0.9)
    assert (p_value <= 0.05) == (-margin < low and high < margin)


def test_large_samples_agree_with_the_paired_z_test():
    """With many questions the score test is the ordinary test of per-question differences (statsmodels)."""
    from statsmodels.stats.weightstats import DescrStatsW

    difference = np.repeat([0.0, 1.0, -1.0], [9000 + 9580, 700, 720])
    theirs = DescrStatsW(difference).ttost_mean(-0.006, 0.006)[0]
    assert float(equivalence_p_values(700, 720, 20_000, 0.006)) == pytest.approx(theirs, rel=0.02)


def test_no_discordance_on_few_questions_is_not_yet_equivalence():
    assert equivalence_p_values(0, 0, 20, 0.03) > 0.05
    assert equivalence_p_values(0, 0, 2000, 0.03) <= 0.05


@pytest.mark.parametrize("margin", [0.0, -0.1, 1.0])
def test_margin_must_be_a_share(margin):
    with pytest.raises(ValueError, match="margin"):
        equivalence_p_values(1, 0, 2, margin)


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
