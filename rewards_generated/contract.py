"""What the code of a reward must define, read from its syntax tree without running it.

A reward is a module that defines

    def reward(prompt: str, completion: str, answer: str) -> float

for one completion at a time, or, told by its second parameter,

    def reward(prompt: str, group: list[str], answer: str) -> list[float]

for all completions of one prompt, a group of GRPO, with one value each. In both a further parameter
`worked_solution: str | None` asks for the worked solution that the data set has of the question; it is passed by name,
None where that question has none. Batch functions in the style of TRL, `f(prompts, completions, **columns) -> list`,
are understood too (see `rewards_generated.adapters.batch`).
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rewards_generated.identity import CodeUnreadable, parse

Contract = Literal["completion", "group"]
"""What one call of a reward sees: a completion, or all completions of a prompt."""
CONTRACTS: tuple[Contract, ...] = ("completion", "group")

FUNCTION_NAME = "reward"
PARAMETERS = ("prompt", "completion", "answer")
GROUP_PARAMETERS = ("prompt", "group", "answer")
ANSWER_COLUMNS = (
    "answer",
    "answers",
    "solution",
    "ground_truth",
    "target",
    "label",
    "labels",
    "gold",
    "gold_answer",
    "reference",
    "reference_answer",
    "correct_answer",
    "expected_answer",
    "final_answer",
)
"""Names under which a batch function may ask for the gold answers."""
WORKED_SOLUTION = "worked_solution"
"""The parameter, or of a batch function the column, with worked solutions; not every task has any."""
SIGNATURE = "def reward(prompt: str, completion: str, answer: str) -> float"
GROUP_SIGNATURE = "def reward(prompt: str, group: list[str], answer: str) -> list[float]"


@dataclass(frozen=True, slots=True)
class RewardFunction:
    """The function that will be called. `kind`: one sample per call, lists of equal length, or one group per call."""

    name: str
    line: int
    kind: Literal["sample", "batch", "group"]
    worked_solution: bool = False
    """Whether it asks for the worked solution of the question."""


class ContractViolation(ValueError):
    """The module does not define a reward. The message says what to write instead."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def reward_function(tree: ast.Module) -> RewardFunction:
    """The reward function that the module defines at its top level.

    Raises ContractViolation if there is none, if it cannot be called as `reward(prompt, completion, answer)` or
    `reward(prompt, group, answer)`, or if it is asynchronous or a generator.
    """
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    named = [node for node in functions if node.name == FUNCTION_NAME]
    if not named:
        batch = [node for node in functions if isinstance(node, ast.FunctionDef) and takes_batches(node)]
        if len(batch) == 1:
            return _batch_function(batch[0])
        found = ", ".join(node.name for node in functions[:5]) or "no function"
        raise ContractViolation(f"define `{SIGNATURE}` at the top level; found {found}")
    function = named[-1]
    if isinstance(function, ast.AsyncFunctionDef):
        raise ContractViolation("`reward` must be an ordinary function, not `async def`", function.lineno)
    if takes_batches(function):
        return _batch_function(function)
    grouped = takes_group(function)
    if message := _not_callable(function.args, GROUP_PARAMETERS if grouped else PARAMETERS):
        raise ContractViolation(f"{message}; write `{GROUP_SIGNATURE if grouped else SIGNATURE}`", function.lineno)
    if line := _yields(function):
        what = "a list of floats" if grouped else "a float"
        raise ContractViolation(f"`reward` must return {what}, not yield: replace `yield` by `return`", line)
    arguments = function.args
    asked = any(item.arg == WORKED_SOLUTION for item in (*arguments.args, *arguments.kwonlyargs))
    return RewardFunction(function.name, function.lineno, "group" if grouped else "sample", asked)


@lru_cache(maxsize=4096)
def defined_reward(code: str) -> RewardFunction | None:
    """`reward_function` of a module's text; None where it defines none."""
    try:
        return reward_function(parse(code))
    except (CodeUnreadable, ContractViolation):
        return None


def sees_groups(code: str) -> bool:
    """Whether the code's reward is called with whole groups; not where it defines none."""
    function = defined_reward(code)
    return function is not None and function.kind == "group"


def takes_batches(function: ast.FunctionDef) -> bool:
    """Whether the parameters are those of a TRL reward function: `completions` and, as a rule, `prompts`."""
    arguments = function.args
    names = {item.arg for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    return "completions" in names and "completion" not in names


def takes_group(function: ast.FunctionDef) -> bool:
    """Whether one of the three parameters is `group`, in place of `completion`."""
    names = [item.arg for item in (*function.args.posonlyargs, *function.args.args)][: len(GROUP_PARAMETERS)]
    return "group" in names and "completion" not in names


def _batch_function(function: ast.FunctionDef) -> RewardFunction:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    required = [item.arg for item in positional[: len(positional) - len(arguments.defaults)]]
    required += [
        item.arg for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None
    ]
    known = {"prompts", "completions", WORKED_SOLUTION, *ANSWER_COLUMNS}
    for name in required:
        if name not in known:
            raise ContractViolation(
                f"the batch function `{function.name}` needs the column `{name}`; it can only be given prompts, "
                f"completions, the gold answers, as {', '.join(ANSWER_COLUMNS)}, and `{WORKED_SOLUTION}`",
                function.lineno,
            )
    named = any(item.arg == WORKED_SOLUTION for item in (*arguments.args, *arguments.kwonlyargs))
    asked = named or (arguments.kwarg is not None and _says(function, WORKED_SOLUTION))
    return RewardFunction(function.name, function.lineno, "batch", asked)


def _says(function: ast.FunctionDef, text: str) -> bool:
    return any(isinstance(node, ast.Constant) and node.value == text for node in ast.walk(function))


def unread(tree: ast.Module, function: RewardFunction) -> frozenset[str]:
    """Those of `prompt`, `completion` and `answer` that the function never reads, as far as its text shows. In a worked
    solution it reads the answer."""
    node = [item for item in tree.body if isinstance(item, ast.FunctionDef) and item.name == function.name][-1]
    arguments = node.args
    if arguments.vararg is not None or arguments.kwarg is not None:
        return frozenset()
    read = {item.id for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Load)}
    names = [item.arg for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    if WORKED_SOLUTION in read:
        read |= {"answer", *names[len(PARAMETERS) - 1 : len(PARAMETERS)]}
    if function.kind != "batch":
        return frozenset(known for known, name in zip(PARAMETERS, names, strict=False) if name not in read)
    given = {"prompt": ("prompts",), "completion": ("completions",), "answer": ANSWER_COLUMNS}
    return frozenset(known for known, columns in given.items() if not read & set(columns))


def docstring(tree: ast.Module) -> str:
    """The module's docstring, or that of its reward function, or an empty text."""
    if text := ast.get_docstring(tree):
        return text
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == FUNCTION_NAME:
            return ast.get_docstring(node) or ""
    return ""


def _not_callable(arguments: ast.arguments, parameters: tuple[str, ...]) -> str | None:
    """Why a function with these arguments cannot be called with three values for the parameters; None: it can."""
    called = "{}, {} and {}".format(*parameters)
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    required_keywords = [
        item.arg
        for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None and item.arg != WORKED_SOLUTION
    ]
    if required_keywords:
        return f"`reward` has the keyword-only parameter `{required_keywords[0]}` without a default"
    if any(item.arg == WORKED_SOLUTION for item in positional[: len(parameters)] + arguments.posonlyargs):
        return f"`{WORKED_SOLUTION}` is passed by name: let it stand behind {called}"
    if any(item.arg != WORKED_SOLUTION for item in positional[len(parameters) : required]):
        return f"`reward` needs {required} arguments, but is called with {called}"
    names = tuple(item.arg for item in positional[: len(parameters)])
    if len(names) < len(parameters) and arguments.vararg is None:
        return f"`reward` takes {len(names)} positional arguments instead of {called}"
    misplaced = [name for place, name in enumerate(names) if name in parameters and parameters[place] != name]
    if misplaced:
        return f"the parameters of `reward` stand in another order ({', '.join(names)})"
    return None


def _yields(function: ast.FunctionDef) -> int | None:
    """The line of a `yield` that belongs to the function itself, not to one nested in it."""
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return node.lineno
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            pending.extend(ast.iter_child_nodes(node))
    return None
