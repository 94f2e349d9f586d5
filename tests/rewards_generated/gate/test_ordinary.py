"""Ordinary rewards pass: the whole library, other styles, and batch rewards through the import path."""

from __future__ import annotations

import pytest

from rewards_generated.adapters.batch import import_batch_reward
from rewards_generated.gate import check
from rewards_generated.library import LibraryReward, load_library
from tests.rewards_generated.gate.ordinary_rewards import BATCH_REWARDS, SAMPLE_REWARDS


def test_there_are_at_least_forty() -> None:
    assert len(load_library()) + len(SAMPLE_REWARDS) + len(BATCH_REWARDS) >= 40


@pytest.mark.parametrize("item", load_library(), ids=lambda item: item.name)
def test_library_is_accepted(item: LibraryReward) -> None:
    verdict = check(item.code)
    assert verdict.reasons == ()
    assert verdict.accepted


@pytest.mark.parametrize("code", SAMPLE_REWARDS.values(), ids=SAMPLE_REWARDS)
def test_other_styles_are_accepted(code: str) -> None:
    verdict = check(code)
    assert verdict.reasons == ()
    assert verdict.kind == "sample"


@pytest.mark.parametrize("code", BATCH_REWARDS.values(), ids=BATCH_REWARDS)
def test_batch_rewards_are_accepted_as_they_are_and_imported(code: str) -> None:
    verdict = check(code)
    assert verdict.reasons == ()
    assert verdict.kind == "batch"
    imported = check(import_batch_reward(code))
    assert imported.reasons == ()
    assert imported.kind == "sample"
    assert {name: value for name, value in imported.figures.items() if name == "auc"} == {
        name: value for name, value in verdict.figures.items() if name == "auc"
    }
