"""Ordinary rewards pass: the whole library, other styles, and batch rewards through the import path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from rewards_generated.adapters.batch import import_batch_reward
from rewards_generated.gate import check
from rewards_generated.gate.probe_rollouts import probe_rollouts
from rewards_generated.library import LibraryReward, load_library
from rewards_generated.rollout import Rollout
from tests.rewards_generated.gate.ordinary_rewards import BATCH_REWARDS, SAMPLE_REWARDS
from tests.rewards_generated.gate.public_styles import PUBLIC_STYLES


def corpus() -> dict[str, str]:
    """Written by us in the styles of others; the library, which shares our own style, is not among them."""
    return {**SAMPLE_REWARDS, **BATCH_REWARDS, **PUBLIC_STYLES}


def test_there_are_at_least_sixty() -> None:
    assert len(corpus()) >= 60


@pytest.mark.slow
@pytest.mark.parametrize("rollouts", [None, probe_rollouts(seed="of a policy")], ids=["without", "with"])
def test_at_least_95_percent_of_the_corpus_is_accepted(rollouts: Sequence[Rollout] | None) -> None:
    verdicts = {name: check(code, rollouts=rollouts, seed="drawn", batch=64) for name, code in corpus().items()}
    refused = {name: verdict.reasons for name, verdict in verdicts.items() if not verdict.accepted}
    assert len(refused) <= 0.05 * len(corpus()), refused


@pytest.mark.parametrize("item", load_library(), ids=lambda item: item.name)
def test_library_is_accepted(item: LibraryReward) -> None:
    verdict = check(item.code)
    assert verdict.reasons == ()
    assert verdict.accepted


SLOW = pytest.mark.slow


def some(rewards: dict[str, str]) -> list[Any]:
    """The first five; the others are slow only because they are many."""
    return [
        pytest.param(code, id=name, marks=() if place < 5 else SLOW)
        for place, (name, code) in enumerate(rewards.items())
    ]


@pytest.mark.parametrize("code", some(SAMPLE_REWARDS))
def test_other_styles_are_accepted(code: str) -> None:
    verdict = check(code)
    assert verdict.reasons == ()
    assert verdict.kind == "sample"


@pytest.mark.parametrize("code", some(BATCH_REWARDS))
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
