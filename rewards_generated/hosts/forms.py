"""Which functions of a module are rewards, and of which host: told by their parameters, without running anything."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import Literal

from rewards_generated.adapters.batch import expects_messages
from rewards_generated.contract import ANSWER_COLUMNS, GROUP_PARAMETERS, PARAMETERS, WORKED_SOLUTION

Form = Literal["sample", "group", "trl", "verl", "openrlhf", "verifiers"]

HOSTS: dict[Form, str] = {
    "sample": "reward-search: `reward(prompt, completion, answer)`",
    "group": "reward-search: `reward(prompt, group, answer)`",
    "trl": "TRL: lists of completions and columns",
    "verl": "verl: `compute_score(data_source, solution_str, ground_truth, extra_info)`",
    "openrlhf": "OpenRLHF: `reward_func(queries, prompts, labels)`",
    "verifiers": "verifiers: a rubric function of one completion",
}
"""In words, for messages."""

ENVIRONMENT = "load_environment"
"""The function of verifiers in which rubric functions are often defined."""

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_GIVEN: dict[Form, frozenset[str]] = {
    "sample": frozenset({*PARAMETERS, WORKED_SOLUTION}),
    "group": frozenset({*GROUP_PARAMETERS, WORKED_SOLUTION}),
    "trl": frozenset(
        {"prompts", "completions", "log_extra", "log_metric", "trainer_state", WORKED_SOLUTION, *ANSWER_COLUMNS}
    ),
    "verl": frozenset({"data_source", "solution_str", "ground_truth", "extra_info"}),
    "openrlhf": frozenset({"queries", "prompts", "labels"}),
    "verifiers": frozenset({"prompt", "completion", "answer", "parser", "info", "state", "task"}),
}
"""Parameters that can be given to a function of each form."""


@dataclass(frozen=True, slots=True)
class Signature:
    parameters: tuple[str, ...]
    required: tuple[str, ...]
    keywords: str | None
    """Name of `**kwargs`; None without."""
    is_async: bool
    node: ast.AST = field(compare=False)
    """Where the body stands."""


@dataclass(frozen=True, slots=True)
class FoundReward:
    """`expression` is the callable in the module's own terms, such as `right` or `make(2.0)`."""

    name: str
    expression: str
    form: Form
    signature: Signature
    line: int
    inside: str | None = None
    """The function in which it is defined, such as `load_environment`; None at the top level."""


@dataclass(frozen=True, slots=True)
class NotAReward:
    """A function that takes completions, but cannot be called here, and why."""

    name: str
    reason: str
    line: int


def rewards_of(tree: ast.Module) -> tuple[list[FoundReward], list[NotAReward]]:
    """Every reward that the module defines at its top level, in order: functions, and lambdas, partial functions, and
    instances or products of a factory that stand under a name; and those inside of verifiers' `load_environment`."""
    found: list[FoundReward] = []
    others: list[NotAReward] = []
    for statement in tree.body:
        for name, node in _named(statement):
            signature = signature_of(tree, node)
            if signature is None:
                continue
            reward = recognised(name, name, signature, getattr(node, "lineno", 1))
            if isinstance(reward, FoundReward):
                found.append(reward)
            elif isinstance(reward, NotAReward):
                others.append(reward)
        if isinstance(statement, ast.FunctionDef) and statement.name == ENVIRONMENT:
            for inner in statement.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    reward = recognised(inner.name, inner.name, _signature(inner), inner.lineno)
                    if isinstance(reward, FoundReward):
                        found.append(replace(reward, inside=ENVIRONMENT))
                    elif isinstance(reward, NotAReward):
                        others.append(reward)
    return found, others


def _named(statement: ast.stmt) -> list[tuple[str, ast.AST]]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return [(statement.name, statement)]
    if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call | ast.Lambda):
        return [(target.id, statement.value) for target in statement.targets if isinstance(target, ast.Name)]
    return []


def recognised(name: str, expression: str, signature: Signature, line: int) -> FoundReward | NotAReward | None:
    """The reward that a callable of this signature is; None where it takes no completions."""
    form = _form(name, signature)
    if form is None:
        return None
    given = _GIVEN[form]
    missing = [item for item in signature.required if item not in given] if form != "sample" else []
    missing += sorted(_columns_read(signature) - given)
    if missing:
        what = ", ".join(f"`{item}`" for item in missing)
        reason = f"it needs {what}; only the prompt, the completion and the gold answer can be given"
        return NotAReward(name, f"{reason} ({HOSTS[form]})", line)
    return FoundReward(name, expression, form, signature, line)


def _form(name: str, signature: Signature) -> Form | None:
    names, required = signature.parameters, set(signature.required) - {WORKED_SOLUTION}
    if names[: len(GROUP_PARAMETERS)] == GROUP_PARAMETERS:
        return "group"
    if "completions" in names:
        return "trl"
    if "solution_str" in names and "ground_truth" in names:
        return "verl"
    if "queries" in names:
        return "openrlhf"
    if name == "reward" and len(names) >= len(PARAMETERS) and len(required) <= len(PARAMETERS):
        return "sample"
    if names[: len(PARAMETERS)] == PARAMETERS and len(required) <= len(PARAMETERS):
        return "verifiers" if expects_messages(ast.Module([signature.node], [])) else "sample"  # type: ignore[list-item]
    if "completion" in names and ("answer" in names or set(names) <= _GIVEN["verifiers"]):
        return "verifiers"
    return None


def columns_asked_for(signature: Signature) -> set[str]:
    """Columns that the body looks for in its `**kwargs` by name."""
    asked = {
        node.args[0].value
        for node in ast.walk(signature.node)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == signature.keywords
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }
    return asked | _columns_read(signature)


def _columns_read(signature: Signature) -> set[str]:
    """Columns that the body takes out of its `**kwargs` by name, and cannot do without."""
    return {
        node.slice.value
        for node in ast.walk(signature.node)
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id == signature.keywords
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
    }


def signature_of(tree: ast.Module, node: ast.AST) -> Signature | None:
    """Of a function, a lambda, or a call that makes a callable (of a factory, a class, or `partial`)."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return _signature(node)
    if not isinstance(node, ast.Call):
        return None
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if name == "partial" and node.args and isinstance(node.args[0], ast.Name):
        inner = signature_of_name(tree, node.args[0].id)
        bound = {keyword.arg for keyword in node.keywords}
        if inner is None:
            return None
        left = inner.parameters[len(node.args) - 1 :]
        return Signature(
            tuple(item for item in left if item not in bound),
            tuple(item for item in inner.required if item in left and item not in bound),
            inner.keywords,
            inner.is_async,
            inner.node,
        )
    return _made_by(tree, name)


def signature_of_name(tree: ast.Module, name: str) -> Signature | None:
    for statement in tree.body:
        for known, node in _named(statement):
            if known == name:
                return signature_of(tree, node)
    return None


def _made_by(tree: ast.Module, name: str) -> Signature | None:
    """Signature of what a factory returns or of an instance of a class."""
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef) and statement.name == name:
            for item in statement.body:
                if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) and item.name == "__call__":
                    return _signature(item, skip=1)
        if isinstance(statement, ast.FunctionDef) and statement.name == name:
            return _returned(tree, statement)
    return None


def is_factory(tree: ast.Module, name: str) -> bool:
    """Whether a call of the name makes a callable."""
    return _made_by(tree, name) is not None


def _returned(tree: ast.Module, factory: ast.FunctionDef) -> Signature | None:
    inner = {item.name: item for item in ast.walk(factory) if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)}
    for node in ast.walk(factory):
        if isinstance(node, ast.Return) and node.value is not None:
            if isinstance(node.value, ast.Name) and node.value.id in inner and node.value.id != factory.name:
                return _signature(inner[node.value.id])
            if isinstance(node.value, ast.Lambda):
                return _signature(node.value)
            if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name):
                return _made_by(tree, node.value.func.id) if node.value.func.id != factory.name else None
    return None


def _signature(function: Function, skip: int = 0) -> Signature:
    arguments = function.args
    positional = [item.arg for item in (*arguments.posonlyargs, *arguments.args)][skip:]
    keyword_only = [item.arg for item in arguments.kwonlyargs]
    required = positional[: len(positional) - len(arguments.defaults)]
    required += [
        item.arg for item, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value is None
    ]
    return Signature(
        tuple(positional + keyword_only),
        tuple(required),
        arguments.kwarg.arg if arguments.kwarg else None,
        isinstance(function, ast.AsyncFunctionDef),
        function,
    )
