"""The text of an exported `reward.py`: the runtime with the members' code and figures filled in."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from rewards_generated import base
from rewards_generated.adapters.batch import import_batch_reward
from rewards_generated.answers import choice, equality, expression, extraction, formats, number, reader
from rewards_generated.answers.symbolic import MATH_VERIFY
from rewards_generated.base import ANSWER_CHECK
from rewards_generated.contract import FUNCTION_NAME
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import UserError
from rewards_generated.export import formulas, further_hosts, runtime
from rewards_generated.identity import parse

_BEGIN, _END = "# Filled in by the export: begin\n", "# Filled in by the export: end\n"
_ANSWERS = (number, choice, expression, formats, extraction, formulas, equality, reader, base)
_HOSTS = "# Further hosts, filled in by the export\n\n\n"


def reward_source(ensemble: Ensemble) -> str:
    """Python text that imports only the standard library. Raises UserError if a member's code defines no reward, or
    would run programs without a sandbox."""
    if ensemble.answer_kind == "program" and any(member.name == ANSWER_CHECK for member in ensemble.members):
        raise UserError(
            f"{ANSWER_CHECK!r} runs the programs of completions, which an exported folder has no sandbox for: train "
            f"with rewards_generated.load(...), or take {ANSWER_CHECK!r} out"
        )
    head, _, rest = _text_of(runtime).partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    before, _, after = tail.partition(_HOSTS)
    lines: list[str] = []
    if any(member.is_base for member in ensemble.members):
        lines.append(f"BASE_REWARDS = {_literal(_base_source(ensemble))}\n")
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
            f"        reads_prompt={reads_prompt(member)!r},\n{_where_it_has_them(member)}    ),\n"
        )
    filled = [
        f"NAME = {ensemble.name!r}\n",
        f"AGGREGATION = {ensemble.aggregation!r}\n",
        *lines,
        "MEMBERS: tuple[Member, ...] = (\n" + "".join(entries) + ")\n",
    ]
    return head + "\n".join(filled) + before + _flattened(further_hosts, imports=False) + "\n\n" + after


def _where_it_has_them(member: Member) -> str:
    """Fields that few members have."""
    fields: dict[str, Any] = {}
    if member.schedule is not None:
        fields |= {"to": member.schedule.to, "at": member.schedule.at}
    if member.sees_groups:
        fields["sees_groups"] = True
    if member.asks_worked_solution:
        fields["worked_solution"] = True
    return "".join(f"        {name}={value!r},\n" for name, value in fields.items())


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


def _base_source(ensemble: Ensemble) -> str:
    """One module of everything that the base rewards need, with `format_exact` and the others at its end."""
    program = MATH_VERIFY.read_text(encoding="utf-8")
    parts = [_flattened(module) for module in _ANSWERS]
    form = ensemble.answer_format
    return "\n\n".join(
        [
            '"""The base rewards: where answers stand, how they are read and compared, what is paid."""\n',
            "from __future__ import annotations\n",
            *parts,
            f"PROGRAM = {program!r}\n",
            f"_MADE = base_rewards(AnswerRules(AnswerFormat({form.reasoning_tag!r}, {form.answer_tag!r}, "
            f"{form.reasoning_opened!r}), {ensemble.answer_kind!r}))\n"
            + "".join(f"{name} = _MADE[{name!r}]\n" for name in base.BASE_REWARDS),
        ]
    )


def _flattened(module: object, imports: bool = True) -> str:
    """The module's text without its docstring and without imports of this project's own; or without any."""
    text = _text_of(module)
    lines = text.splitlines(keepends=True)
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    for node in sorted(found, key=lambda node: -node.lineno):
        ours = str(node.module).startswith(("rewards_generated", "__future__"))
        if ours or (not imports and node.col_offset == 0):
            del lines[node.lineno - 1 : node.end_lineno]
    return "".join(lines).partition('"""\n')[2].strip("\n") + "\n"


def _text_of(module: object) -> str:
    return Path(str(module.__file__)).read_text(encoding="utf-8")  # type: ignore[attr-defined]


def _literal(text: str) -> str:
    """A literal of exactly this text: raw and over several lines, so that it can be read, wherever that is possible."""
    raw = f"r'''{text}'''"
    plain = text.endswith("\n") and all(character.isprintable() or character in "\n\t" for character in text)
    return raw if plain and "'''" not in text else repr(text)
