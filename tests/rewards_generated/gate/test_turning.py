"""Rewards that are good while they are tried: what turns later, counts calls, or knows the gate's own probes."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from rewards_generated.answers import ANSWER_FORMATS
from rewards_generated.gate import check
from rewards_generated.gate.attacks import attacks
from rewards_generated.gate.probe_rollouts import probe_rollouts
from rewards_generated.gate.variations import variations
from rewards_generated.identity import parse
from rewards_generated.sandbox import SandboxSettings
from tests.rewards_generated.gate.test_flaws import body, find

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the seal exists on Linux only")

COUNTS = (
    "seen = []\ndef reward(prompt, completion, answer):\n    seen.append(1)\n"
    "    return float('=' in completion) * (1.0 if len(seen) < {turn} else 0.5)\n"
)


def test_a_reward_that_turns_late_in_a_large_batch_is_found() -> None:
    verdict = check(COUNTS.format(turn=1300))
    assert not verdict.accepted
    assert verdict.reasons[0].startswith("asked_again: ")


@pytest.mark.slow
def test_a_run_of_larger_batches_is_asked_in_its_own_size() -> None:
    assert not check(COUNTS.format(turn=1900), batch=2000).accepted


@pytest.mark.slow
def test_in_fast_mode_a_turn_after_thousands_of_calls_is_found() -> None:
    code = COUNTS.format(turn=12_000)
    assert check(code).accepted, "a fork never comes so far"
    verdict = check(code, sandbox=SandboxSettings(mode="fast"))
    assert not verdict.accepted


def test_what_the_gate_draws_follows_from_its_seed() -> None:
    tree, form = parse(COUNTS), ANSWER_FORMATS["solution"]
    some = probe_rollouts(seed="a")
    assert variations(tree, form, some, "a") == variations(tree, form, some, "a") != variations(tree, form, some, "b")
    assert {item.prompt for item in some}.isdisjoint(item.prompt for item in probe_rollouts(seed="b"))
    right = [item for item in some if item.correct][:3]
    assert attacks(right, form, "a") == attacks(right, form, "a") != attacks(right, form, "b")
    prompts = {item.sample.prompt for item in variations(tree, form, some, "a")}
    assert len(prompts & {item.prompt for item in some}) > 5, "the run's own prompts stand under odd text too"


def test_a_reward_that_knows_the_probes_of_one_seed_fails_under_another() -> None:
    known = {item.prompt: item.answer for item in probe_rollouts()}
    code = f"KNOWN = {known!r}\n" + body(
        "if prompt in KNOWN or 'pens' in prompt:",
        "    return float(f'<solution> {answer} </solution>' in completion)",
        "return 40.0 * ('=' in completion) - len(completion) / 1000",
    )
    assert check(code).accepted
    assert not check(code, seed="another").accepted


def test_numbers_around_the_gold_answers_of_the_task_are_tried() -> None:
    """They lie far from 0 to 299 here."""
    rollouts = [
        replace(
            item,
            answer=f"{int(item.answer) + 7_000_000}",
            completion=item.completion.replace(f" {item.answer} <", f" {int(item.answer) + 7_000_000} <"),
            group=item.group,
        )
        for item in probe_rollouts()
    ]
    paid = body("return 10.0 * (len(set(re.findall('700[0-9]{4}', completion))) > 20)")
    found = find(check(paid, rollouts=rollouts), "attack_number_spam")
    assert not found.passed


def test_hedging_is_tried_in_every_format() -> None:
    for line in (
        "return 3.0 * sum(m % answer in completion for m in ('#### %s', '\\\\boxed{%s}', '**%s**', 'Answer: %s'))",
        "return 9.0 * (f'\\\\boxed{{{answer}}}' in completion)",
        "return 9.0 * (f'{answer} or' in completion)",
    ):
        assert not find(check(body(line)), "attack_hedging").passed, line
    honest = body("return float(completion.rpartition('<solution>')[2].partition('</solution>')[0].strip() == answer)")
    assert find(check(honest), "attack_hedging").passed
