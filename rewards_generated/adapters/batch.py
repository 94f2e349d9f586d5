"""Batch functions in the style of TRL, `f(prompts, completions, **columns) -> list[float]`, as rewards of ours."""

from __future__ import annotations

import ast

from rewards_generated.contract import (
    ANSWER_COLUMNS,
    WORKED_SOLUTION,
    ContractViolation,
    RewardFunction,
    reward_function,
)
from rewards_generated.errors import UserError
from rewards_generated.identity import CodeUnreadable, parse
from rewards_generated.sandbox.settings import EntryPoint


def entry_point(tree: ast.Module, function: RewardFunction) -> EntryPoint:
    """How a worker calls the function that `reward_function` found in the tree."""
    return EntryPoint(
        name=function.name,
        kind=function.kind,
        answer_columns=ANSWER_COLUMNS,
        conversational=function.kind == "batch" and expects_messages(tree),
        worked_solution=function.worked_solution,
    )


def code_entry_point(code: str) -> EntryPoint:
    """`entry_point` of code that has passed the gate. Raises UserError if it defines no reward."""
    try:
        tree = parse(code)
        return entry_point(tree, reward_function(tree))
    except (CodeUnreadable, ContractViolation) as error:
        raise UserError(f"this code is no reward: {error}") from None


def expects_messages(tree: ast.Module) -> bool:
    """Whether a function reads chat messages: somewhere it takes `["content"]` of something that is no JSON of its own
    making. The key may be a constant of the module."""
    constants = {
        target.id: statement.value.value
        for statement in tree.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    decoded = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _is_decoding(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            of, key = node.value, node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            of, key = node.func.value, node.args[0] if node.args else node.func
        else:
            continue
        value = constants.get(key.id) if isinstance(key, ast.Name) else getattr(key, "value", None)
        if value == "content" and not _is_decoding(of) and not (isinstance(of, ast.Name) and of.id in decoded):
            return True
    return False


def _is_decoding(node: ast.expr) -> bool:
    """A call of `json.loads` or the like."""
    return isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "loads"


def import_batch_reward(code: str) -> str:
    """The code with a `reward(prompt, completion, answer)` added that calls its batch function with lists of one; it
    takes a `worked_solution` too where the batch function asks for it.

    Code that defines a `reward` of one completion or of one group already comes back as it is. The gate checks that the
    batch function gives a sample the same value alone as among others; without that the result is another reward.
    Raises UserError if the code defines no reward of any form.
    """
    entry = code_entry_point(code)
    if entry.kind != "batch":
        return code
    tree = parse(code)
    function = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == entry.name][-1]
    arguments = function.args
    named = {item.arg for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    columns = [name for name in ANSWER_COLUMNS if name in named or arguments.kwarg is not None]
    prompt, completion = (
        ('[{"role": "user", "content": prompt}]', '[{"role": "assistant", "content": completion}]')
        if entry.conversational
        else ("prompt", "completion")
    )
    passed = [f"prompts=[{prompt}]"] if "prompts" in named or arguments.kwarg is not None else []
    passed += [f"completions=[{completion}]", *(f"{name}=[answer]" for name in columns)]
    further = f", {WORKED_SOLUTION}: str | None" if entry.worked_solution else ""
    passed += [f"{WORKED_SOLUTION}=[{WORKED_SOLUTION}]"] if entry.worked_solution else []
    batch_name, bound = entry.name, ""
    if entry.name == "reward":
        if any(isinstance(node, ast.Name) and node.id in ("reward", "batch_reward") for node in ast.walk(tree)):
            raise UserError(
                "the batch function is called `reward`, and the code uses that name or `batch_reward` too; rename one"
            )
        batch_name, bound = "batch_reward", "\n\n\nbatch_reward = reward"
    return (
        code.rstrip("\n")
        + bound
        + f"\n\n\ndef reward(prompt: str, completion: str, answer: str{further}) -> float:\n"
        + f"    return {batch_name}({', '.join(passed)})[0]\n"
    )
