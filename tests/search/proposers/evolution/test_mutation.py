from __future__ import annotations

import difflib
from collections import Counter
from functools import cache

import libcst as cst
import pytest

from eval.tasks.testbed.draws import Draws
from search.proposers.evolution.composition import RIGHT_ANSWER, joined, wrapped
from search.proposers.evolution.mutation import changed, keywords_of
from search.proposers.evolution.syntax import undefined_names
from tests.search.proposers.evolution.test_syntax import TRICKY, run

EVERYTHING = '''"""Something of everything that may change, and of what may not."""

import math
import re
import statistics

WORDS = ("wait", "check", "verify")
TAGS = ["<solution>", "</solution>", "<thinking>"]
PATTERN = re.compile(r"\\b(?:check|verify|confirm)\\b")


def reward(prompt: str, completion: str, answer: str) -> float:
    """Inner docstring with 0.5 and (a|b|c)."""
    words = completion.split(" ", 3)
    first = words[0]
    total = sum(0.5 for word in words if word in WORDS)
    position = 0
    while position < 10:
        position += 1
    if len(words) > 2 and total < 4 and len(words) % 2 == 0:
        return min(total, len(first)) * math.log1p(len(words) - 1)
    if any(word in TAGS for word in words):
        return max(0.0, statistics.mean([1.5, total]))
    return round(float(len(PATTERN.findall(completion))), 2)
'''


@cache
def mutants(code: str, count: int = 160) -> list[tuple[str, str, str]]:
    """(verb, description, code) of many small changes."""
    found = []
    for seed in range(count):
        change = changed(cst.parse_module(code), Draws(str(seed)), ["reconsider", "step back"])
        assert change is not None
        found.append((change.verb, change.description, change.module.code))
    return found


def test_every_mutant_is_valid_differs_in_one_place_and_is_told_truly() -> None:
    for verb, description, code in mutants(EVERYTHING):
        compile(code, "candidate", "exec")
        assert undefined_names(code) == frozenset()
        lines = [line for line in difflib.ndiff(EVERYTHING.split("\n"), code.split("\n")) if line[0] in "+-"]
        assert len(lines) == 2, description
        assert verb
        if verb == "tuned":
            old, new = description.removeprefix("the constant ").split(" became ")
            assert old in lines[0]
            assert new in lines[1]
            assert float(old) != float(new)


def test_what_carries_meaning_changes_and_what_carries_structure_stays() -> None:
    everything = mutants(EVERYTHING)
    assert set(Counter(verb for verb, _, _ in everything)) == {"tuned", "bounded", "linked", "aggregated", "worded"}
    for _, _, code in everything:
        assert 'split(" ", 3)' in code
        assert "words[0]" in code
        assert "while position < 10:\n        position += 1" in code
        assert "% 2 == 0" in code
        assert "len(words) - 1" in code
        assert "max(0.0, " in code
        assert ", 2)\n" in code
        assert "Inner docstring with 0.5 and (a|b|c)." in code
        assert "0 < " not in code
    texts = [code for _, _, code in everything]
    assert any("max((0.5 for word in words if word in WORDS), default=0.0)" in code for code in texts)
    assert any("math.sqrt" in code for code in texts)
    assert any("statistics.median" in code for code in texts)
    assert any('"verify", "reconsider")' in code for code in texts)
    assert any("verify|confirm|step back)" in code for code in texts)
    assert any("(?:check|confirm)" in code for code in texts)
    assert not any('<thinking>", "re' in code for code in texts)


def test_a_module_without_anything_to_change_gives_nothing() -> None:
    module = cst.parse_module("def reward(prompt, completion, answer):\n    return float(completion == prompt)\n")
    assert changed(module, Draws("0"), []) is None


def test_keywords_are_the_plain_words_of_lists_and_patterns() -> None:
    assert keywords_of(EVERYTHING) == {"wait", "check", "verify", "confirm"}


PLAIN = "SCALE = 4\n\n\ndef reward(prompt, completion, answer):\n    return len(completion) / SCALE\n"


@cache
def wrappers() -> dict[str, str]:
    """One wrapper of each kind and constant: description to code."""
    found = {}
    for seed in range(120):
        composition = wrapped(cst.parse_module(PLAIN), Draws(str(seed)))
        assert composition is not None
        code = composition.source("A wrapper.")
        assert code is not None
        found[composition.description] = code
    return found


def test_wrappers_do_what_they_say() -> None:
    right, wrong = "x<solution>1,234</solution>", "y<solution>1,235</solution>"
    codes = wrappers()
    plain = len(right) / 4
    expected = {
        "paid only if the answer is right, else 0.0": (plain, 0.0),
        "paid only if the answer is right, else 0.25 * value": (plain, plain / 4),
        "paid only if the answer is right, else min(value, 0.0)": (plain, 0.0),
        "capped at 0.5 on both sides": (0.5, 0.5),
        "multiplied by 3.0": (3 * plain, 3 * plain),
        "saturated as x / (1 + |x|)": (plain / (1 + plain), plain / (1 + plain)),
        "with its sign reversed": (-plain, -plain),
    }
    for description, values in expected.items():
        assert (run(codes[description], "q", right, "1234"), run(codes[description], "q", wrong, "1234")) == values
    damped = codes["damped in completions of more than 200 characters"]
    assert run(damped, "q", "x" * 100, "1") == 25
    assert run(damped, "q", "x" * 400, "1") == 50


@pytest.mark.parametrize(
    ("completion", "answer", "right"),
    [
        ("<solution>7</solution>", "7", True),
        ("<solution>8</solution> then <solution> $7.00 </solution>", "7", True),
        ("<solution>7</solution> then <solution>8</solution>", "7", False),
        ("so \\boxed{12}", "12", True),
        ("so\n#### 12", "12", True),
        ("<answer>a + b</answer>", "a + b", True),
        ("7", "7", False),
        ("", "", False),
        ("<solution></solution>", "", False),
        (f"<solution>{'9' * 500}</solution>", "1", False),
        ("<solution>nan</solution>", "nan ", True),
        ("<solution>one</solution>", "two", False),
    ],
)
def test_the_gate_knows_a_right_answer(completion: str, answer: str, right: bool) -> None:
    code = wrappers()["paid only if the answer is right, else 0.0"]
    assert (run(code, "q", completion + " " * 8, answer) > 0) is right


def test_a_gate_is_not_put_on_twice() -> None:
    gated = wrappers()["paid only if the answer is right, else 0.0"]
    for seed in range(30):
        composition = wrapped(cst.parse_module(gated), Draws(str(seed)))
        if composition is not None:
            code = composition.source("")
            assert code is not None
            assert code.count(f"def {RIGHT_ANSWER}") == 1
            assert isinstance(run(code), float)


def test_two_rewards_join_without_getting_in_each_others_way() -> None:
    first, second = run(TRICKY), run(PLAIN)
    values = {}
    for seed in range(40):
        composition = joined(cst.parse_module(TRICKY), cst.parse_module(PLAIN), Draws(str(seed)))
        code = composition.source("Two.")
        assert code is not None
        assert undefined_names(code) == frozenset()
        values[composition.verb, composition.description] = run(code)
    assert values["times", "multiplied"] == first * second
    assert values["or", "the larger of the two"] == max(first, second)
    assert values["where", "the first, where the second is positive"] == first
    sums = {text: value for (verb, text), value in values.items() if verb == "plus"}
    assert sums["0.3 of the first and 0.7 of the second, summed"] == pytest.approx(0.3 * first + 0.7 * second)
    assert len(sums) == 3


def test_a_reward_can_be_joined_with_its_own_matched_again_and_again() -> None:
    code = TRICKY
    for generation in range(3):
        composition = joined(cst.parse_module(code), cst.parse_module(code), Draws(str(generation)))
        source = composition.source("Twins.")
        assert source is not None
        code = source
        assert undefined_names(code) == frozenset()
        assert isinstance(run(code), float)
