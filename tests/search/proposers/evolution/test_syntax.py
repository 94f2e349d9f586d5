from __future__ import annotations

from typing import Any

import libcst as cst
import pytest

from search.proposers.evolution.syntax import (
    Parts,
    assembled,
    first_free,
    module_parts,
    renamed,
    reward_source,
    undefined_names,
    with_docstring,
)

TRICKY = '''"""What it does."""
from __future__ import annotations

import re
from collections import Counter as Tally

SIZE = 3
TABLE = {"SIZE": SIZE}


class Limits:
    SIZE = 5
    low: int = SIZE


def count(text: str, size=SIZE) -> int:
    SIZE_local = [SIZE for SIZE in range(size)]
    return sum(SIZE_local) + Limits.SIZE


def shadow(SIZE):
    count = SIZE
    return count


def reward(prompt, completion, answer):
    if completion == "again":
        return reward(prompt, "", answer)
    return float(count(completion, size=2) + shadow(SIZE=1) + TABLE["SIZE"] + len(Tally(completion)))
'''


def run(code: str, *arguments: str) -> Any:
    """Only code that stands in this file, or is made from it, is ever run here."""
    names: dict[str, Any] = {"__name__": "candidate"}
    exec(compile(code, "candidate", "exec"), names)  # noqa: S102
    return names["reward"](*(arguments or ("question", "completion", "answer")))


def test_renaming_keeps_the_meaning_and_leaves_locals_alone() -> None:
    new = {name: f"{name}_x" for name in ("SIZE", "TABLE", "Limits", "count", "shadow")}
    code = renamed(cst.parse_module(TRICKY), new.get).code
    assert run(code) == run(TRICKY)
    assert run(code, "q", "again", "a") == run(TRICKY, "q", "again", "a")
    assert "def count_x(text: str, size=SIZE_x)" in code
    assert "[SIZE for SIZE in range(size)]" in code
    assert "def shadow_x(SIZE):\n    count = SIZE\n    return count" in code
    assert 'TABLE_x = {"SIZE": SIZE_x}' in code
    assert "Limits_x.SIZE" in code
    assert undefined_names(code) == frozenset()


def test_a_module_comes_apart_and_together_again() -> None:
    parts = module_parts(cst.parse_module(TRICKY))
    assert parts.imports == (
        "from __future__ import annotations",
        "import re",
        "from collections import Counter as Tally",
    )
    assert parts.names == {"SIZE", "TABLE", "Limits", "count", "shadow", "reward"}
    code = assembled("Again.", [parts], "")
    assert code is not None
    assert code.startswith('"""Again."""\n\nfrom __future__ import annotations\nimport re\n')
    assert "What it does" not in code
    assert run(code) == run(TRICKY)


def test_imports_of_one_name_for_two_things_do_not_go_together() -> None:
    first = module_parts(cst.parse_module("import re as m\nx = 1\n"))
    second = module_parts(cst.parse_module("import math as m\ny = 1\n"))
    third = module_parts(cst.parse_module("import math as m, re\nz = 1\n"))
    assert assembled("", [first, second], "") is None
    assert assembled("", [second, third], "") is not None
    assert assembled("", [Parts((), "m = 2", frozenset({"m"}), frozenset()), first], "") is None


@pytest.mark.parametrize("text", ['He said "no"', 'three """ quotes', "a \\ backslash", 'ends with a quote"', ""])
def test_any_text_can_be_a_docstring(text: str) -> None:
    for code in (assembled(text, [], "x = 1\n"), with_docstring(cst.parse_module('"""Old."""\nx = 1\n'), text)):
        assert code is not None
        names: dict[str, Any] = {}
        exec(compile(code, "candidate", "exec"), names)  # noqa: S102
        assert names["x"] == 1
        assert (names["__doc__"] or "").replace("'", '"').rstrip('"') == text.rstrip('"')


def test_a_docstring_is_added_or_exchanged() -> None:
    assert with_docstring(cst.parse_module("x = 1\n"), "New.") == '"""New."""\n\nx = 1\n'
    assert with_docstring(cst.parse_module('"""Old."""; x = 1\n'), "New.") == '"""New."""\n\nx = 1\n'


@pytest.mark.parametrize(
    ("code", "missing"),
    [
        ("def reward(p, c, a):\n    return helper(c)\n", {"helper"}),
        ("x = y\n", {"y"}),
        ("def f():\n    return [n for n in range(3)] + len(LATER)\nLATER = ''\n", set()),
        ("import re\nclass A:\n    def b(self):\n        return re, __name__, self.c\n", set()),
        ("def f():\n    g = lambda: h\n    return g\n", {"h"}),
    ],
)
def test_undefined_names_are_found(code: str, missing: set[str]) -> None:
    assert undefined_names(code) == missing


def test_free_names_are_numbered() -> None:
    assert first_free("inner", frozenset({"inner", "inner_2"})) == "inner_3"


def test_the_source_of_a_reward() -> None:
    assert run(reward_source("value / 2", "value = float(len(completion))")) == 5.0
