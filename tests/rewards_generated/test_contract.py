"""What counts as a reward function, read from the syntax tree."""

from __future__ import annotations

import pytest

from rewards_generated.contract import ContractViolation, docstring, reward_function, sees_groups, unread
from rewards_generated.identity import parse


@pytest.mark.parametrize(
    "code",
    [
        "def reward(prompt, completion, answer): return 1.0",
        "def reward(prompt: str, completion: str, answer: str) -> float: return 1.0",
        "def reward(prompt, completion, answer, scale=2.0): return 1.0",
        "def reward(prompt, completion, answer, *, scale=2.0): return 1.0",
        "def reward(prompt, completion, answer, **rest): return 1.0",
        "def reward(prompt, completion, answer='', *rest): return 1.0",
        "def reward(question, text, gold): return 1.0",
        "def reward(*arguments): return 1.0",
        "def reward(prompt, completion, answer):\n    def pieces():\n        yield 1\n    return float(sum(pieces()))",
    ],
)
def test_functions_of_one_sample(code: str) -> None:
    assert reward_function(parse(code)).kind == "sample"


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        ("def reward(prompt, completion, answer, worked_solution): return 1.0", True),
        ("def reward(prompt, completion, answer, worked_solution=None): return 1.0", True),
        ("def reward(prompt, completion, answer, *, worked_solution): return 1.0", True),
        ("def reward(prompt, completion, answer, scale=2.0, worked_solution=None): return 1.0", True),
        ("def reward(prompt, completion, answer, solution=None): return 1.0", False),
        ("def reward(*arguments): return 1.0", False),
        ("def reward(prompt, group, answer, worked_solution): return [1.0]", True),
        ("def reward(prompt, group, answer): return [1.0]", False),
        ("def f(completions, worked_solution): return [1.0]", True),
        ("def f(completions, **columns): return [1.0 for text in columns['worked_solution']]", True),
        ("def f(completions, **columns): return [1.0]", False),
    ],
)
def test_a_worked_solution_is_asked_for_by_name(code: str, asked: bool) -> None:
    assert reward_function(parse(code)).worked_solution is asked


def test_who_reads_the_worked_solution_reads_the_answer() -> None:
    code = "def reward(p, c, a, worked_solution):\n    return float(len({}) + len(p) + len(c))\n"
    for what, missed in (("worked_solution", set()), ("c", {"answer"})):
        tree = parse(code.format(what))
        assert unread(tree, reward_function(tree)) == missed


@pytest.mark.parametrize(
    "code",
    [
        "def reward(prompt, group, answer): return [1.0]",
        "def reward(prompt: str, group: list[str], answer: str) -> list[float]: return [1.0]",
        "def reward(prompt, group, answer, scale=2.0): return [1.0]",
        "def reward(prompt, group, *rest): return [1.0]",
    ],
)
def test_functions_of_one_group(code: str) -> None:
    assert reward_function(parse(code)).kind == "group"
    assert sees_groups(code)


def test_a_further_parameter_called_group_makes_no_reward_of_groups() -> None:
    assert reward_function(parse("def reward(prompt, completion, answer, group=None): return 1.0")).kind == "sample"


def test_what_a_function_of_groups_never_reads() -> None:
    tree = parse("def reward(prompt, group, answer): return [1.0 for _ in answer]")
    assert unread(tree, reward_function(tree)) == {"prompt", "completion"}


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("def length_reward(completions, **kwargs): return [1.0]", "length_reward"),
        ("def reward(prompts, completions, answer, **kwargs): return [1.0]", "reward"),
        ("def f(x): return x\ndef g(prompts, completions, ground_truth): return [1.0]", "g"),
        ("def h(completions, *, solution=None): return [1.0]", "h"),
    ],
)
def test_batch_functions_in_the_style_of_trl(code: str, name: str) -> None:
    function = reward_function(parse(code))
    assert (function.kind, function.name) == ("batch", name)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1", "found no function"),
        ("def score(prompt, completion, answer): return 1.0", "found score"),
        ("class A:\n    def reward(self, prompt, completion, answer): return 1.0", "found no function"),
        ("async def reward(prompt, completion, answer): return 1.0", "async"),
        ("def reward(prompt, completion, answer):\n    yield 1.0", "yield"),
        ("def reward(completion): return 1.0", "takes 1 positional"),
        ("def reward(): return 1.0", "takes 0 positional"),
        ("def reward(prompt, completion, answer, extra): return 1.0", "needs 4 arguments"),
        ("def reward(prompt, completion, answer, *, extra): return 1.0", "keyword-only parameter `extra`"),
        ("def reward(completion, answer, prompt): return 1.0", "another order"),
        ("def reward(prompt, completion, answer, extra, worked_solution): return 1.0", "needs 5 arguments"),
        ("def reward(prompt, completion, worked_solution, answer): return 1.0", "passed by name: let it stand behind"),
        ("def reward(prompt, completion, answer, worked_solution, /): return 1.0", "passed by name"),
        ("def reward(prompt, group, worked_solution): return [1.0]", "let it stand behind prompt, group and answer"),
        ("def f(completions, difficulty): return [1.0]", "column `difficulty`"),
        ("def reward(group, answer, prompt): return [1.0]", r"another order.*group: list\[str\]"),
        ("def reward(prompt, group): return [1.0]", "takes 2 positional arguments instead of prompt, group and answer"),
        ("def reward(prompt, group, answer):\n    yield 1.0", "a list of floats, not yield"),
    ],
)
def test_everything_else_is_told_what_to_write(code: str, said: str) -> None:
    with pytest.raises(ContractViolation, match=said):
        reward_function(parse(code))


def test_the_last_definition_counts_as_it_does_in_python() -> None:
    code = "def reward(x): return 1.0\n\ndef reward(prompt, completion, answer): return 1.0"
    assert reward_function(parse(code)).line == 3


def test_docstring_of_the_module_or_else_of_the_function() -> None:
    assert docstring(parse('"""Module."""\ndef reward(a, b, c):\n    """Function."""')) == "Module."
    assert docstring(parse('def reward(a, b, c):\n    """Function."""')) == "Function."
    assert docstring(parse("x = 1")) == ""
