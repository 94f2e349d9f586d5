"""Structural changes: a wrapper around a reward, or two rewards joined into one."""

from __future__ import annotations

from dataclasses import dataclass

import libcst as cst

from eval.tasks.testbed.draws import Draws
from rewards_generated.contract import FUNCTION_NAME
from search.proposers.evolution.syntax import (
    ARGUMENTS,
    Parts,
    assembled,
    first_free,
    module_parts,
    names_in,
    renamed,
    reward_source,
)

RIGHT_ANSWER = "answer_is_right"
_RIGHT_ANSWER_SOURCE = r"""
MARKED_ANSWER = re.compile(r"<(?:solution|answer)>([^<]*)</(?:solution|answer)>|\\boxed{([^{}]*)}|####([^\n]*)")


def answer_is_right(completion: str, answer: str) -> bool:
    # The last marked answer of the completion equals the gold answer, as text or as a number.
    marked = MARKED_ANSWER.findall(completion)
    given = "".join(marked[-1]).strip() if marked else ""
    if not given or given == answer.strip():
        return bool(given)
    try:
        return len(given) < 100 and float(given.strip("$ .").replace(",", "")) == float(answer.replace(",", ""))
    except ValueError:
        return False
"""


@dataclass(frozen=True, slots=True)
class Composition:
    """A composed module before its docstring is known. `verb` goes into the child's name."""

    parts: tuple[Parts, ...]
    further: str
    imports: tuple[str, ...]
    verb: str
    description: str

    def source(self, docstring: str) -> str | None:
        """The module; None where its parts cannot stand side by side."""
        return assembled(docstring, self.parts, self.further, self.imports)


def wrapped(module: cst.Module, draws: Draws) -> Composition | None:
    """One random wrapper around the module's reward; None if that wrapper is there already or would clash."""
    kind = draws.weighted({"gated": 4, "capped": 2, "scaled": 2, "saturated": 1, "damped": 2, "negated": 0.7})
    taken = names_in(module)
    inner = first_free("inner_reward", taken)
    value = f"{inner}({ARGUMENTS})"
    helper = ""
    imports: tuple[str, ...] = ()
    match kind:
        case "gated":
            if {RIGHT_ANSWER, "MARKED_ANSWER"} & taken:
                return None
            rest = draws.weighted({"0.0": 3, "0.25 * value": 1, "min(value, 0.0)": 1})
            helper, imports = _RIGHT_ANSWER_SOURCE, ("import re",)
            reward = reward_source(f"value if {RIGHT_ANSWER}(completion, answer) else {rest}", f"value = {value}")
            description = f"paid only if the answer is right, else {rest}"
        case "capped":
            limit = draws.choice((0.5, 1.0, 1.5))
            reward = reward_source(f"max(-{limit}, min({limit}, {value}))")
            description = f"capped at {limit} on both sides"
        case "scaled":
            factor = draws.choice((0.25, 0.5, 2.0, 3.0))
            reward = reward_source(f"{factor} * {value}")
            description = f"multiplied by {factor}"
        case "saturated":
            reward = reward_source("value / (1.0 + abs(value))", f"value = {value}")
            description = "saturated as x / (1 + |x|)"
        case "damped":
            characters = draws.choice((200, 400, 800))
            reward = reward_source(f"{value} * min(1.0, {characters} / max(1, len(completion)))")
            description = f"damped in completions of more than {characters} characters"
        case _:
            reward = reward_source(f"-{value}")
            description = "with its sign reversed"
    parts = module_parts(renamed(module, lambda name: inner if name == FUNCTION_NAME else None))
    further = f"{helper.strip()}\n\n\n{reward}" if helper else reward
    return Composition((parts,), further, imports, kind, description)


def joined(first: cst.Module, second: cst.Module, draws: Draws) -> Composition:
    """Both modules in one, their names told apart, and a reward that combines the two values."""
    taken = names_in(first) | names_in(second) | {FUNCTION_NAME, "first", "second"}
    parts, values = [], []
    for suffix, module in (("a", first), ("b", second)):
        new_names: dict[str, str] = {}
        for name in sorted(module_parts(module).names):
            new_names[name] = first_free(f"{name}_{suffix}", taken)
            taken |= {new_names[name]}
        parts.append(module_parts(renamed(module, new_names.get)))
        values.append(f"{new_names.get(FUNCTION_NAME, FUNCTION_NAME)}({ARGUMENTS})")
    prepared = (f"first = {values[0]}", f"second = {values[1]}")
    match draws.weighted({"plus": 4, "times": 1.5, "or": 1.5, "where": 2}):
        case "plus":
            weight = draws.choice((0.3, 0.5, 0.7))
            other = round(1.0 - weight, 2)
            reward = reward_source(f"{weight} * first + {other} * second", *prepared)
            return Composition(
                tuple(parts), reward, (), "plus", f"{weight} of the first and {other} of the second, summed"
            )
        case "times":
            return Composition(tuple(parts), reward_source("first * second", *prepared), (), "times", "multiplied")
        case "or":
            reward = reward_source("max(first, second)", *prepared)
            return Composition(tuple(parts), reward, (), "or", "the larger of the two")
        case _:
            reward = reward_source("first if second > 0 else 0.0", *prepared)
            return Composition(tuple(parts), reward, (), "where", "the first, where the second is positive")
