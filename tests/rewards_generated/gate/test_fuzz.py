"""Whatever a module looks like: the gate neither crashes nor hangs, and what it accepts keeps its contract."""

from __future__ import annotations

import math
import time

import pytest

from rewards_generated.adapters.batch import code_entry_point
from rewards_generated.gate import GateSettings, Verdict, check
from rewards_generated.gate.probe_rollouts import probe_rollouts
from rewards_generated.identity import identity
from rewards_generated.sandbox import RewardWorker, SandboxSettings
from tests.rewards_generated.gate.fuzz import fresh_samples, generated_module

SETTINGS = GateSettings(batch_seconds=0.5, growth_seconds=0.4, maximum_rollouts=16)
LONGEST = 60.0
"""Seconds that no verdict may take, far above what a loaded machine needs; a hang would be endless."""


def breaches(seed: int) -> tuple[bool, list[str]]:
    """Whether the module was accepted, and how gate or reward broke their word."""
    code = generated_module(seed)
    started = time.monotonic()
    verdict = check(code, rollouts=probe_rollouts()[:32], settings=SETTINGS)
    found = []
    if time.monotonic() - started > LONGEST:
        found.append(f"the verdict took {time.monotonic() - started:.0f} s")
    if verdict.accepted != (not verdict.reasons):
        found.append("accepted with reasons, or rejected without")
    if Verdict.model_validate_json(verdict.model_dump_json()) != verdict:
        found.append("the verdict does not survive JSON")
    if verdict.accepted:
        found += _broken_contract(code, verdict, seed)
    return verdict.accepted, found


def _broken_contract(code: str, verdict: Verdict, seed: int) -> list[str]:
    found = [] if identity(code) == verdict.identity else ["another identity"]
    samples = fresh_samples(seed)
    with RewardWorker(code, SandboxSettings(batch_seconds=5.0), entry=code_entry_point(code)) as worker:
        scores = worker.score(samples)
        for sample, score in zip(samples, scores, strict=True):
            if score.value is None or not math.isfinite(score.value):
                found.append(f"{score.error} on {sample!r}")
        reverse = worker.score(samples[::-1])[::-1]
        if [score.value for score in reverse] != [score.value for score in scores]:
            found.append("another value in another order")
    return found


@pytest.mark.parametrize("block", range(4))
def test_a_share_of_the_fuzz(block: int) -> None:
    found = {seed: broken for seed in range(block * 6, block * 6 + 6) if (broken := breaches(seed)[1])}
    assert found == {}


@pytest.mark.slow
@pytest.mark.parametrize("block", range(52))
def test_fuzz(block: int) -> None:
    """5,200 modules."""
    outcomes = {seed: breaches(seed) for seed in range(block * 100, block * 100 + 100)}
    assert {seed: broken for seed, (_, broken) in outcomes.items() if broken} == {}
    accepted = sum(accepted for accepted, _ in outcomes.values())
    assert 0 < accepted < 100, "the generator makes modules of both kinds"
