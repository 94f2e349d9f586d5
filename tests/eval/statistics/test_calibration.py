"""The calibration of tests/benchmarks in small: what the statistics promise under simulated and enumerated truth."""

import pytest

from tests.benchmarks.statistics_calibration import PARTS

FAST = {"equivalence_size": 0.02, "difference_coverage": 0.03, "detectable_power": 0.2}
SLOW = dict.fromkeys(set(PARTS) - set(FAST), 0.1) | {"proportion_coverage": 0.34}


@pytest.mark.parametrize(
    ("part", "scale"),
    [*FAST.items(), *(pytest.param(part, scale, marks=pytest.mark.slow) for part, scale in sorted(SLOW.items()))],
)
def test_promises_hold(part, scale):
    rows = list(PARTS[part](scale))
    assert rows
    assert [row for row in rows if not row["holds"] and "known" not in row] == []
