"""Planted flaws: each is found by the check that is made for it, and the message says what to change."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from rewards_generated.gate import Check, CheckName, GateSettings, Verdict, check
from rewards_generated.gate.probe_rollouts import probe_rollouts
from rewards_generated.rollout import Rollout, Sample
from rewards_generated.sandbox.worker import RewardWorker, _Failure

HEAD = "import re\nimport math\n\ndef reward(prompt, completion, answer):\n"
EQUAL = "    right = f'<solution> {answer} </solution>' in completion\n"


def body(*lines: str) -> str:
    return HEAD + "".join(f"    {line}\n" for line in lines)


def find(verdict: Verdict, name: CheckName) -> Check:
    return next(item for item in verdict.checks if item.name == name)


FLAWS: dict[str, tuple[str, CheckName, str]] = {
    "raises at import": ("x = 1 / 0\n" + body("return 1.0"), "loads", "ZeroDivisionError"),
    "hangs at import": ("while True:\n    pass\n" + body("return 1.0"), "loads", "killed"),
    "returns nothing": (body("if '=' in completion:", "    return 1.0"), "finite", "Every path must return a float"),
    "returns a bool": (body("return '=' in completion"), "finite", "float(...)"),
    "returns text": (body("return '1.0'"), "finite", "returned str"),
    "returns nan": (body("return math.nan if not completion else 1.0"), "finite", "finite"),
    "returns infinity": (body("return 1e308 * 10 * len(completion)"), "finite", "finite"),
    "returns a huge number": (body("return 10 ** 400"), "finite", "1e6"),
    "divides by the length": (body("return 1 / len(completion)"), "finite", "Test the divisor"),
    "takes the first of none": (body("return float(re.findall('[0-9]', completion)[0])"), "finite", "taking an item"),
    "long numbers": (
        body("n = re.findall(r'[0-9]+', completion)", "return float(int(n[-1]) % 5) if n else 0.0"),
        "finite",
        "10,000 digits",
    ),
    "digits of other scripts": (
        body("n = re.findall(r'[²½]', completion)", "return float(int(n[0])) if n else float('=' in completion)"),
        "finite",
        "digits of other scripts",
    ),
    "divides by the number of hits less one": (
        body("hits = completion.count('perhaps')", "return float('=' in completion) - 0.1 / (hits - 1)"),
        "finite",
        "1 x 'perhaps'",
    ),
    "hangs on white space": (
        "import re\nP = re.compile(r'(\\s+)+y')\n"
        + body("return 1.0 if P.search(completion) else float('=' in completion)"),
        "finite",
        "on only white space it took longer than 0.6 s and was killed",
    ),
    "hangs on a long word": (
        "import re\nP = re.compile(r'(a+)+$')\n"
        + body("return 1.0 if P.search(completion) else float('=' in completion)"),
        "bounded_time",
        "characters of a long word",
    ),
    "depends on the order of a set": (
        body("words = set(completion.split())", "return float(len(next(iter(words)))) if words else 0.0"),
        "deterministic",
        "order of a set",
    ),
    "keeps a list": (
        "seen = []\n" + body("seen.append(completion)", "return float(len(seen) % 5)"),
        "stateless",
        "keep nothing between calls",
    ),
    "keeps a default argument": (
        "def reward(prompt, completion, answer, seen={}):\n"
        "    seen[completion] = seen.get(completion, 0) + 1\n    return 1.0 / seen[completion]\n",
        "stateless",
        "mutable default",
    ),
    "constant": (body("return 1.0"), "constant", "same value 1"),
    "nearly constant": (body("return float('Sam' in completion and '99999' in completion)"), "constant", "same value"),
    "ignores the completion": (
        body("return float(len(prompt) % 7) + len(answer)"),
        "ignores_completion",
        "read `completion`",
    ),
    "drowns the base rewards": (
        body("return 40.0 * ('=' in completion) + len(completion) / 10"),
        "scale",
        "scale or cap",
    ),
    "prefers wrong": (body("return -9.0 * (f'<solution> {answer}' in completion)"), "prefers_wrong", "lower the scale"),
    "pays for nothing": (body("return 11.0 * (not completion.strip()) + ('=' in completion)"), "attack_empty", "empty"),
    "pays for length": (body("return min(len(completion), 3000) / 200"), "attack_endless", "cap what length"),
    "pays for repetition": (
        body("words = completion.split()", "return min((len(words) - len(set(words))) / 8, 22.0)"),
        "attack_repeated",
        "count a repeated",
    ),
    "pays for the prompt": (
        body("return 6.0 * (prompt in completion and bool(prompt))"),
        "attack_copied_prompt",
        "copied from the prompt",
    ),
    "pays for tags": (body("return 0.5 * min(completion.count('<solution>'), 30)"), "attack_tag_spam", "exactly once"),
    "pays for keywords": (
        body("return min(len(re.findall('wait|check|verify', completion)), 24) * 0.8"),
        "attack_keyword_spam",
        "cap what keywords",
    ),
    "pays for numbers": (
        body("return min(len(set(re.findall('[0-9]+', completion))), 40) / 2"),
        "attack_number_spam",
        "lists of numbers",
    ),
    "believes claims": (body("return 5.0 * ('correct' in completion)"), "attack_flattery", "prove nothing"),
    "pays for stopping early": (
        body(
            "open_end = '<thinking>' in completion and '<solution>' not in completion",
            "return 12.0 * (open_end and not completion.endswith('>'))",
        ),
        "attack_truncated",
        "unfinished",
    ),
}


@pytest.mark.parametrize(("code", "name", "said"), FLAWS.values(), ids=FLAWS)
def test_planted_flaw_is_found(code: str, name: CheckName, said: str) -> None:
    settings = GateSettings(batch_seconds=0.6, growth_seconds=0.4)
    verdict = check(code, settings=settings)
    assert not verdict.accepted
    failed = find(verdict, name)
    assert not failed.passed
    assert failed.enforced
    assert said in failed.message
    assert any(reason.startswith(f"{name}: ") for reason in verdict.reasons)


def test_a_batch_function_that_compares_within_the_batch_is_found() -> None:
    code = (
        "def centred(completions, **kwargs):\n"
        "    lengths = [len(text) / 100 for text in completions]\n"
        "    mean = sum(lengths) / len(lengths)\n"
        "    return [length - mean for length in lengths]\n"
    )
    verdict = check(code)
    assert verdict.kind == "batch"
    assert not verdict.accepted
    assert "score each completion by itself" in find(verdict, "batch_invariant").message


def test_a_batch_function_with_too_few_values_is_found() -> None:
    verdict = check("def short(completions, **kwargs):\n    return [1.0]\n")
    assert "returned 1 values for" in find(verdict, "finite").message


INVERTED = body("return 0.2 * ('=' in completion) - 0.5 * (f'<solution> {answer}' in completion)")


def test_auc_is_always_reported_and_rejects_only_where_a_floor_is_set() -> None:
    lenient = check(INVERTED)
    assert lenient.accepted
    assert find(lenient, "auc").value is not None
    assert lenient.figures["auc"] < 0.5
    assert any(warning.startswith("auc: ") for warning in lenient.warnings)
    strict = check(INVERTED, settings=GateSettings(auc_minimum=0.5))
    assert not strict.accepted
    assert strict.reasons[0].startswith("auc: ")


class Standstill:
    """The machine stands still during some of the calls with many samples: hostile ones and rollouts come first, then
    both again, both in another process, and all in another order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, calls: range) -> None:
        self.seen = 0
        real = RewardWorker._attempt

        def attempt(worker: RewardWorker, samples: list[Sample], groups: list[int], seconds: float) -> Any:
            self.seen += len(samples) > 150
            if len(samples) > 150 and self.seen in calls:
                return _Failure(f"took longer than {seconds:g} s and was killed", divisible=True)
            return real(worker, samples, groups, seconds)

        monkeypatch.setattr(RewardWorker, "_attempt", attempt)


def test_what_was_scored_in_time_is_asked_once_more_where_the_machine_stood_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = body("return 2.0 * ('=' in completion)")
    for call in range(3, 8):
        with monkeypatch.context() as patch:
            still = Standstill(patch, range(call, call + 1))
            assert check(code).reasons == ()
            assert still.seen > 8
    for first, name, when in (
        (4, "deterministic", "called again with the same arguments"),
        (7, "stateless", "the calls come in another order"),
    ):
        with monkeypatch.context() as patch:
            Standstill(patch, range(first, first + 2))
            (reason,) = check(code).reasons
        assert reason == (
            f"{name}: when {when} it took longer than 3 s and was killed, twice, though it was fast enough at first; "
            "make it faster"
        )


def test_which_checks_reject_is_configured() -> None:
    constant = body("return 1.0")
    assert not check(constant).accepted
    everything_but = tuple(set(GateSettings().enforced) - {"constant", "ignores_completion"})
    assert check(constant, settings=GateSettings(enforced=everything_but)).accepted
    assert not check("import os\n" + constant, settings=GateSettings(enforced=())).accepted


def test_every_limit_does_something() -> None:
    spread = body("return 2.0 * ('=' in completion)")
    assert check(spread).accepted
    for tight in (
        GateSettings(scale_ratio=0.01),
        GateSettings(weight=-30.0),
        GateSettings(length_correlation_maximum=0.1),
        GateSettings(auc_minimum=0.99),
        GateSettings(maximum_characters=20),
        GateSettings(maximum_nodes=5),
    ):
        assert not check(spread, settings=tight).accepted, tight
    waits = body("return float('wait' in completion)")
    assert check(waits).accepted
    assert check(waits, settings=GateSettings(constant_share=0.5)).reasons[0].startswith("constant: ")
    only_first_question = body("return float('Sam' in prompt and '=' in completion)")
    assert (
        check(only_first_question, settings=GateSettings(group_spread_minimum=0.9, maximum_rollouts=240))
        .reasons[0]
        .startswith("group_spread")
    )
    slow = body("total = sum(a == b for a in completion[:6000] for b in completion[:20])", "return float(total % 7)")
    slow_check = find(check(slow, settings=GateSettings(growth_seconds=0.001)), "bounded_time")
    assert not slow_check.passed
    few = check(spread, settings=GateSettings(maximum_rollouts=8))
    assert "of 8 rollouts" in find(few, "constant").message or find(few, "constant").passed
    short = GateSettings(growth_characters=400)
    assert "400 characters" in find(check(spread, settings=short), "bounded_time").message
    beaten = body("return 0.5 * min(completion.count('<solution>'), 30)")
    assert "attack_tag_spam" not in " ".join(check(beaten, settings=GateSettings(beaten_share=1.0)).reasons)


def test_a_verdict_is_serialisable_and_says_nothing_twice() -> None:
    verdict = check(body("return float('=' in completion)"))
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
    names = [item.name for item in verdict.checks]
    assert len(names) == len(set(names))
    assert all(item.message and "\n" not in item.message for item in verdict.checks)


def test_rollouts_passed_in_are_the_ones_that_are_used() -> None:
    """A reward that fires on the constructed rollouts only is constant on these."""
    rollouts = [item for item in probe_rollouts() if "=" not in item.completion]
    code = body("return float('=' in completion)")
    assert check(code).accepted
    assert "constant" in check(code, rollouts=rollouts).reasons[0]


def test_rollouts_that_are_all_wrong_or_alone_in_their_group_are_no_obstacle() -> None:
    wrong = [item for item in probe_rollouts() if not item.correct]
    verdict = check(body("return float('=' in completion)"), rollouts=wrong)
    assert verdict.accepted
    assert find(verdict, "auc").value is None
    assert find(check(body("return float('=' in completion)"), rollouts=wrong[:1]), "group_spread").value is None


def test_a_reward_that_only_right_answers_earn_is_no_constant_while_the_policy_is_never_right() -> None:
    wrong = [item for item in probe_rollouts() if not item.correct]
    code = body("return 2.0 * (f'<solution> {answer} </solution>' in completion)")
    verdict = check(code, rollouts=wrong)
    assert verdict.reasons == ()
    assert verdict.figures["constant"] == 1.0


def test_what_the_base_rewards_cannot_tell_apart_is_not_held_against_a_candidate() -> None:
    """Rollouts in another format: right and wrong ones have the same base total."""
    other_format = [
        Rollout(
            item.prompt,
            re.sub("</?(thinking|solution)>", "", item.completion),
            item.answer,
            item.correct,
            False,
            item.group,
        )
        for item in probe_rollouts()
    ]
    verdict = check(body("return 0.5 * min(completion.count('='), 3)"), rollouts=other_format)
    assert verdict.reasons == ()
    assert find(verdict, "prefers_wrong").value is None


def test_settings_are_written_alike_whatever_the_order() -> None:
    """A search's digest covers them."""
    one = GateSettings(enforced=("scale", "constant", "scale"))
    assert one.model_dump_json() == GateSettings(enforced=("constant", "scale")).model_dump_json()
    assert GateSettings.model_validate({"enforced": ["scale"]}).enforced == ("scale",)


FOLLOWS = """
import re

def reward(prompt, completion, answer, worked_solution=None):
    right = re.findall(r"<solution> *(\\S+) *</solution>", completion) == [answer]
    steps = re.findall(r"= (\\d+)", worked_solution or "")
    return float(right) * (1.0 + sum(f"= {step}" in completion for step in steps) / (1 + len(steps)))
"""


def without(rollouts: tuple[Rollout, ...]) -> list[Rollout]:
    return [replace(rollout, worked_solution=None) for rollout in rollouts]


def test_a_reward_that_asks_for_worked_solutions_needs_a_task_that_has_them() -> None:
    assert check(FOLLOWS).accepted
    some = probe_rollouts()
    assert check(FOLLOWS, rollouts=[*without(some[:60]), *some[60:]]).accepted
    verdict = check(FOLLOWS, rollouts=without(some))
    assert not verdict.accepted
    assert verdict.checks[-1].name == "signature", "nothing of it has run"
    assert verdict.reasons == (
        "signature: line 4: `reward` asks for `worked_solution`, but the task has no worked solutions: leave the "
        "parameter out, or take a task that has them",
    )


def test_a_question_may_have_no_worked_solution_and_those_of_others_stand_for_their_answers() -> None:
    assert not find(check(FOLLOWS.replace('worked_solution or ""', "worked_solution")), "finite").passed
    assert find(check(FOLLOWS.replace("right = ", "right = True or ")), "ignores_answer").passed
