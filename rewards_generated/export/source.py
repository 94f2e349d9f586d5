"""The text of an exported `reward.py`: the runtime with the members' code and figures filled in."""

from __future__ import annotations

import ast
from pathlib import Path

from rewards_generated import base
from rewards_generated.adapters.batch import import_batch_reward
from rewards_generated.contract import FUNCTION_NAME
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.export import runtime
from rewards_generated.identity import parse

_BEGIN, _END = "# Filled in by the export: begin\n", "# Filled in by the export: end\n"


def reward_source(ensemble: Ensemble) -> str:
    """Python text that imports only the standard library. Raises UserError if a member's code defines no reward."""
    head, _, rest = _text_of(runtime).partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    lines: list[str] = []
    if any(member.is_base for member in ensemble.members):
        lines.append(f"BASE_REWARDS = {_literal(_text_of(base))}\n")
    entries = []
    for place, member in enumerate(ensemble.members, start=1):
        if member.code is None:
            source, function = "BASE_REWARDS", member.name
        else:
            source, function = f"MEMBER_{place}", FUNCTION_NAME
            lines.append(f"{source} = {_literal(import_batch_reward(member.code))}\n")
        entries.append(
            f"    Member(\n        name={member.name!r},\n        source={source},\n        function={function!r},\n"
            f"        weight={member.weight!r},\n        mean={member.mean!r},\n        std={member.std!r},\n"
            f"        reads_prompt={reads_prompt(member)!r},\n    ),\n"
        )
    filled = [
        f"NAME = {ensemble.name!r}\n",
        f"AGGREGATION = {ensemble.aggregation!r}\n",
        *lines,
        "MEMBERS: tuple[Member, ...] = (\n" + "".join(entries) + ")\n",
    ]
    return head + "\n".join(filled) + tail


def reads_prompt(member: Member) -> bool:
    """Whether the reward looks at its first argument at all, as far as its text tells; base rewards do not."""
    if member.code is None:
        return False
    functions = [node for node in parse(import_batch_reward(member.code)).body if isinstance(node, ast.FunctionDef)]
    function = [node for node in functions if node.name == FUNCTION_NAME][-1]
    positional = [*function.args.posonlyargs, *function.args.args]
    if not positional:
        return True  # reward(*arguments)
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return positional[0].arg in names


def _text_of(module: object) -> str:
    return Path(str(module.__file__)).read_text(encoding="utf-8")  # type: ignore[attr-defined]


def _literal(text: str) -> str:
    """A literal of exactly this text: raw and over several lines, so that it can be read, wherever that is possible."""
    raw = f"r'''{text}'''"
    plain = text.endswith("\n") and all(character.isprintable() or character in "\n\t" for character in text)
    return raw if plain and "'''" not in text else repr(text)
