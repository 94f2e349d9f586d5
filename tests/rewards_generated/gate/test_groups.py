"""The gate on rewards that see all completions of a prompt: what it takes, and which flaws it finds."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from rewards_generated.errors import UserError
from rewards_generated.gate import GateSettings, check
from rewards_generated.gate.cases import hostile_cases
from rewards_generated.gate.corpus import hostile_inputs
from rewards_generated.gate.probe_rollouts import probe_rollouts
from tests.rewards_generated.gate.test_flaws import find, without
from tests.rewards_generated.group_rewards import AGREEMENT, SHORTER, STEPS, VARIETY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the seal exists on Linux only")


def body(*lines: str) -> str:
    return "import math\n\ndef reward(prompt, group, answer):\n" + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize("code", [SHORTER, VARIETY, AGREEMENT, STEPS], ids=["shorter", "variety", "agreement", "steps"])
def test_honest_rewards_pass(code: str) -> None:
    verdict = check(code)
    assert verdict.accepted, verdict.reasons
    assert verdict.kind == "group"
    assert find(verdict, "group_order").passed
    assert "batch_invariant" not in {item.name for item in verdict.checks}


LENGTHS = "n = [len(text) / 1000 for text in group]"
FLAWS = {
    "place": (body(LENGTHS, "return [v + place / 9 for place, v in enumerate(n)]"), "group_order", "their places"),
    "neighbour": (body(LENGTHS, "return [v - n[place - 1] for place, v in enumerate(n)]"), "group_order", "places"),
    "one": (
        body(
            LENGTHS,
            "m = sum(n) / len(n)",
            "s = sum((v - m) ** 2 for v in n) / (len(n) - 1)",
            "return [v + s for v in n]",
        ),
        "finite",
        "on a group of one, an empty completion",
    ),
    "equal": (
        body(LENGTHS, "s = max(n) - min(n) if len(n) > 1 else 1.0", "return [v / s for v in n]"),
        "finite",
        "a group of four equal completions",
    ),
    "eight": (body("return [float(len(group[place])) / 1000 for place in range(8)]"), "finite", "IndexError"),
    "one value": (body("return sum(map(len, group)) / 1000"), "finite", "returned float, not a list"),
    "state": (
        "SEEN = []\n" + body("SEEN.append(1)", "return [len(t) / 999 + len(SEEN) for t in group]"),
        "stateless",
        "",
    ),
    "blind": (body("return [1.0 for _ in group]"), "ignores_completion", "no difference shown"),
    "set order": (
        body("order = list(set(group))", "return [float(order.index(t)) for t in group]"),
        "deterministic",
        "set",
    ),
}


@pytest.mark.parametrize(("code", "name", "said"), FLAWS.values(), ids=FLAWS)
def test_flaws_are_found(code: str, name: str, said: str) -> None:
    verdict = check(code)
    assert not verdict.accepted
    failed = find(verdict, name)  # type: ignore[arg-type]
    assert not failed.passed
    assert said in failed.message


def test_time_must_not_explode_with_length() -> None:
    code = "import re\nP = re.compile(r'(a+)+$')\n" + body(
        "return [1.0 if P.search(t) else len(t) / 1e4 for t in group]"
    )
    slow = find(check(code, settings=GateSettings(batch_seconds=1.0)), "bounded_time")
    assert not slow.passed
    assert "of a long word take more than" in slow.message


def test_a_group_that_hangs_is_named_not_the_batch_that_it_was_killed_with() -> None:
    code = body("while '5 / 0' in group[-1]:", "    pass", "return [len(text) / 1000 for text in group]")
    finite = find(check(code, settings=GateSettings(batch_seconds=1.0)), "finite")
    assert "on a group of one, division by zero it took longer than 1 s and was killed" in finite.message


def test_equal_completions_may_change_values_among_themselves() -> None:
    first_alone_is_paid = body(
        "seen, values = set(), []",
        "for text in group:",
        "    values.append(0.0 if text in seen else min(1.0, len(text) / 500))",
        "    seen.add(text)",
        "return values",
    )
    assert find(check(first_alone_is_paid), "group_order").passed


def test_an_attack_is_also_tried_as_most_of_its_group() -> None:
    paid_much = check(AGREEMENT.replace("SCALE = 1.0", "SCALE = 20.0"))
    assert not find(paid_much, "attack_flattery").passed
    minority = AGREEMENT.replace("SCALE = 1.0", "SCALE = 20.0").replace(
        "if item else", "if item and counts[item] < 4 else"
    )
    assert find(check(minority), "attack_flattery").passed


@pytest.mark.parametrize(
    ("code", "contracts", "said"),
    [
        (SHORTER, ("completion",), "rewards of whole groups are not taken here"),
        ("def reward(prompt, completion, answer): return 1.0", ("group",), "only rewards of whole groups are taken"),
    ],
)
def test_a_contract_that_is_not_taken_is_rejected_before_anything_runs(
    code: str, contracts: tuple[str, ...], said: str
) -> None:
    verdict = check(code, contracts=contracts)  # type: ignore[arg-type]
    assert not verdict.accepted
    assert verdict.checks[-1].name == "signature"
    assert said in verdict.checks[-1].message


def test_a_group_that_asks_for_worked_solutions_needs_a_task_that_has_them() -> None:
    verdict = check(STEPS, rollouts=without(probe_rollouts()))
    assert not verdict.accepted
    assert verdict.checks[-1].name == "signature"
    assert "the task has no worked solutions" in verdict.reasons[0]


def test_rollouts_of_several_questions_in_one_group_are_refused_by_name() -> None:
    first, *others = probe_rollouts()
    mixed = [replace(first, worked_solution=None), *others]
    with pytest.raises(UserError, match="group 'probe-0' differ in prompt, answer or worked solution"):
        check(SHORTER, rollouts=mixed)
    assert check("def reward(prompt, completion, answer): return len(completion) / 99", rollouts=mixed).checks


def test_hostile_groups_have_many_sizes_and_one_question_each() -> None:
    cases = hostile_cases(hostile_inputs(), whole_groups=True)
    assert {1, 2, 3, 4, 5, 8} < {len(item.case) for item in cases}
    assert max(len(item.case) for item in cases) > 40
    assert all(len({(sample.prompt, sample.answer) for sample in item.case}) == 1 for item in cases)
    assert {text for item in cases for text in [item.case[0].completion]} >= {
        item.sample.completion for item in hostile_inputs()
    }
