"""Aggregations against their definitions, and against the arithmetic that TRL does on the same scores."""

from __future__ import annotations

import math
import random

import pytest

from rewards_generated.aggregation import group_normalise, standardise, totals
from rewards_generated.ensemble import Aggregation, Ensemble, Member
from rewards_generated.schedule import Schedule

CODE = "def reward(prompt, completion, answer):\n    return 1.0\n"


def ensemble(aggregation: Aggregation, weights: list[float]) -> Ensemble:
    members = tuple(
        Member(name=f"m{place}", code=CODE, weight=weight, mean=1.0 + place, std=0.5 * place)
        for place, weight in enumerate(weights)
    )
    return Ensemble(name="e", members=members, aggregation=aggregation)


def test_sum_weighs_raw_scores() -> None:
    assert totals(ensemble("sum", [1.0, -2.0]), [[1.0, 2.0], [0.5, 0.25]]) == [0.0, 1.5]


def test_unscored_stays_unscored_whatever_the_aggregation() -> None:
    rows: list[list[float | None]] = [[1.0, None, 3.0, 4.0], [0.5, 0.25, None, 1.0]]
    for aggregation in ("sum", "zscore", "group_normalised"):
        result = totals(ensemble(aggregation, [1.0, 1.0]), rows, groups=[0, 0, 0, 0])
        assert [value is None for value in result] == [False, True, True, False]


def test_zscore_uses_frozen_statistics_and_only_centres_what_never_varied() -> None:
    result = totals(ensemble("zscore", [1.0, 3.0]), [[2.0], [3.0]])
    assert result == [pytest.approx((2.0 - 1.0) / 1.0 + 3.0 * (3.0 - 2.0) / 0.5)]
    assert standardise([4.0, None], Member(name="m", code=CODE, mean=1.0, std=0.0)) == [3.0, None]


def test_group_normalised_by_hand() -> None:
    result = group_normalise([1.0, 3.0, None, 7.0, 7.0, 5.0], ["a", "a", "a", "b", "b", "c"])
    scale = math.sqrt(2.0) + 1e-4
    assert result == [pytest.approx(-1 / scale), pytest.approx(1 / scale), None, 0.0, 0.0, 0.0]


def test_groups_need_not_be_contiguous() -> None:
    scores = [1.0, 10.0, 2.0, 20.0]
    mixed = group_normalise(scores, [0, 1, 0, 1])
    sorted_rows = group_normalise([1.0, 2.0, 10.0, 20.0], [0, 0, 1, 1])
    assert [mixed[0], mixed[2], mixed[1], mixed[3]] == sorted_rows


def test_group_normalised_equals_trl_normalize_then_sum() -> None:
    """The steps of `GRPOTrainer._generate_and_score_completions` in torch, with TRL's own `nanstd`."""
    torch = pytest.importorskip("torch")
    draw = random.Random(5)
    weights = [1.0, 0.3, -2.0]
    generations, prompts = 4, 6
    count = generations * prompts
    rows: list[list[float | None]] = [
        [None if draw.random() < 0.1 else draw.choice([0.0, 1.0, draw.gauss(0, 3)]) for _ in range(count)]
        for _ in weights
    ]
    tensor = torch.tensor(
        [[math.nan if value is None else value for value in column] for column in zip(*rows, strict=True)],
        dtype=torch.float64,
    )
    grouped = tensor.view(-1, generations, len(weights))
    mean = torch.nanmean(grouped, dim=1, keepdim=True)
    present = (~torch.isnan(grouped)).sum(dim=1, keepdim=True)
    variance = torch.nanmean((grouped - mean) ** 2, dim=1, keepdim=True) * present / (present - 1)
    normalised = ((grouped - mean) / (variance.sqrt() + 1e-4)).view(-1, len(weights))
    expected = (normalised * torch.tensor(weights, dtype=torch.float64)).nansum(dim=1).tolist()

    groups = [place // generations for place in range(count)]
    result = totals(ensemble("group_normalised", weights), rows, groups)
    compared = 0
    for ours, theirs, column in zip(result, expected, zip(*rows, strict=True), strict=True):
        if None not in column:
            assert ours == pytest.approx(theirs, abs=1e-9)
            compared += 1
        else:
            assert ours is None
    assert compared >= 10


@pytest.mark.slow
def test_the_standard_deviation_above_is_that_of_trl() -> None:
    """TRL's own `nanstd` (n - 1) and the epsilon in its source."""
    import inspect

    torch = pytest.importorskip("torch")
    from trl.trainer import grpo_trainer
    from trl.trainer.utils import nanstd

    values = [1.0, 2.5, 4.0]
    ours = group_normalise(values, [0, 0, 0])
    std = float(nanstd(torch.tensor(values, dtype=torch.float64)))
    assert ours[2] == pytest.approx((4.0 - 2.5) / (std + 1e-4))
    assert "reward_k = (grouped - mean_k) / (std_k + 1e-4)" in inspect.getsource(grpo_trainer)


def test_wrong_shapes_and_missing_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="2 rows of scores for 1 members"):
        totals(ensemble("sum", [1.0]), [[1.0], [1.0]])
    with pytest.raises(ValueError, match="differ in length"):
        totals(ensemble("sum", [1.0, 1.0]), [[1.0], [1.0, 2.0]])
    with pytest.raises(ValueError, match="needs the group"):
        totals(ensemble("group_normalised", [1.0]), [[1.0]])


@pytest.mark.parametrize("aggregation", ["sum", "zscore", "group_normalised"])
def test_a_schedule_is_the_constant_weight_of_its_moment(aggregation: Aggregation) -> None:
    rows: list[list[float | None]] = [[1.0, 2.0, 0.0, 4.0], [0.5, 0.25, 3.0, 1.0]]
    for schedule, weights in (
        (Schedule(kind="linear", to=-1.0), {0.0: 1.0, 0.25: 0.5, 0.5: 0.0, 1.0: -1.0}),
        (Schedule(kind="switch", to=3.0, at=0.5), {0.0: 1.0, 0.25: 1.0, 0.5: 3.0, 1.0: 3.0}),
    ):
        plain = ensemble(aggregation, [1.0, 1.0])
        members = (plain.members[0], plain.members[1].model_copy(update={"schedule": schedule}))
        scheduled = plain.model_copy(update={"members": members})
        for progress, weight in weights.items():
            constant = totals(ensemble(aggregation, [1.0, weight]), rows, [0, 0, 1, 1])
            assert totals(scheduled, rows, [0, 0, 1, 1], progress) == pytest.approx(constant)


def test_a_switch_comes_with_the_step_that_reaches_its_share() -> None:
    switch = Schedule(kind="switch", to=2.0, at=0.3)
    assert [switch.weight(1.0, done / 10) for done in range(10)] == [1.0] * 3 + [2.0] * 7
    assert switch.mean_weight(1.0) == pytest.approx(0.3 + 0.7 * 2.0)
    assert Schedule(kind="linear", to=0.0).mean_weight(1.0) == 0.5
