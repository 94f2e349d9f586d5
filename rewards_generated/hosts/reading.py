"""`FILE.py` and `FILE.py:NAME`: the rewards of a file, each as a module of our own contract."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from rewards_generated.adapters.batch import expects_messages
from rewards_generated.contract import FUNCTION_NAME, ContractViolation, reward_function
from rewards_generated.errors import UserError, nearest
from rewards_generated.gate.static_rules import violations
from rewards_generated.hosts.cutting import cut_out, cut_out_inner
from rewards_generated.hosts.forms import (
    HOSTS,
    FoundReward,
    NotAReward,
    is_factory,
    recognised,
    rewards_of,
    signature_of,
    signature_of_name,
)
from rewards_generated.hosts.wrapping import needs_wrapping, wrapped
from rewards_generated.identity import CodeUnreadable, parse


@dataclass(frozen=True, slots=True)
class RewardFile:
    """A Python file and what was found in it, without running it: its `reward`, else all of its rewards."""

    path: Path
    code: str
    tree: ast.Module
    rewards: tuple[FoundReward, ...]
    others: tuple[NotAReward, ...]

    @property
    def listed(self) -> str:
        """The names of its rewards."""
        return ", ".join(reward.name for reward in self.rewards)


@dataclass(frozen=True, slots=True)
class ReadReward:
    """A reward as a module that defines `reward`, or a batch function of TRL's form."""

    name: str
    code: str
    origin: str
    """Where it comes from and what form it had, in a line."""


def is_file(text: str) -> bool:
    """Whether a name of a reward is a file's: `FILE.py` or `FILE.py:NAME`."""
    return text.endswith(".py") or ".py:" in text


def read_file(path: Path) -> RewardFile:
    """Raises UserError if the file cannot be read or is not Python."""
    try:
        code = path.expanduser().read_text(encoding="utf-8-sig").replace("\r\n", "\n")
        tree = parse(code)
    except CodeUnreadable as error:
        where = "" if error.line is None else f", line {error.line}"
        raise UserError(f"{path}{where} is not Python: {error}; mend it, nothing was checked") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8") from None
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; give the path of a Python file that defines a reward") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; give the path of a Python file") from None
    found, others = rewards_of(tree)
    # A module of our contract may have others behind its `reward`: an imported one does.
    chosen = [reward for reward in found if reward.name == FUNCTION_NAME] or found
    return RewardFile(path, code, tree, tuple(chosen), tuple(others))


def read_reward(text: str) -> ReadReward:
    """The one reward of `FILE.py`, or that of `FILE.py:NAME`; NAME may be a call of a factory, or of a reward with
    further arguments, such as `make(weight=2)`. Raises UserError, naming the rewards of a file that has several."""
    path, name = split_name(text)
    file = read_file(path)
    if name is not None:
        return module_of(file, _chosen(file, name))
    if len(file.rewards) == 1:
        return module_of(file, file.rewards[0])
    if file.rewards:
        first = file.rewards[0].name
        raise UserError(
            f"{path} has {len(file.rewards)} rewards ({file.listed}); choose one, such as {path}:{first}, or take all "
            f"as an ensemble with `reward-search import {path} --to FOLDER`"
        )
    if file.others:
        raise UserError(f"{path}: `{file.others[0].name}` cannot be called here: {file.others[0].reason}")
    return ReadReward(path.stem, file.code, f"{path}")


def read_rewards(text: str) -> list[ReadReward]:
    """Every reward of `FILE.py`, or the one of `FILE.py:NAME`. Raises UserError where there is none."""
    path, name = split_name(text)
    file = read_file(path)
    if name is not None or len(file.rewards) < 2:
        return [read_reward(text)]
    return [module_of(file, found) for found in file.rewards]


def module_of(file: RewardFile, found: FoundReward) -> ReadReward:
    """The reward alone: the file as it is where it defines nothing else and keeps the policy, else what it needs of the
    file, and the call of its host."""
    origin = f"{file.path}, line {found.line} ({HOSTS[found.form]})"
    alone = len(file.rewards) == 1 and (found.form in ("sample", "group") or _is_reward(file.tree))
    name = file.path.stem if found.name in ("reward", "compute_score", "reward_func") else found.name.partition("(")[0]
    if not needs_wrapping(found, alone):
        return ReadReward(name, file.code, origin)
    if found.inside is not None and isinstance(found.signature.node, ast.stmt):
        body = cut_out_inner(file.code, file.tree, found.signature.node)
    else:
        body = cut_out(file.code, file.tree, found.expression)
    return ReadReward(name, wrapped(body, found, expects_messages(parse(body))), origin)


def _is_reward(tree: ast.Module) -> bool:
    """Whether the whole module can be taken as it is."""
    try:
        reward_function(tree)
        return not violations(tree)
    except (ContractViolation, RecursionError):
        return False


def split_name(text: str) -> tuple[Path, str | None]:
    """File and name of `FILE.py:NAME`; None without a name."""
    place = text.rfind(".py:")
    if place < 0:
        return Path(text), None
    return Path(text[: place + 3]), text[place + 4 :].strip()


def _chosen(file: RewardFile, name: str) -> FoundReward:
    for found in file.rewards:
        if found.name == name:
            return found
    for other in file.others:
        if other.name == name:
            raise UserError(f"{file.path}: `{name}` cannot be called here: {other.reason}")
    if "(" in name:
        return _called(file, name)
    if is_factory(file.tree, name):
        raise UserError(f"{file.path}: `{name}` makes a reward; call it, such as {file.path}:{name}()")
    if signature_of_name(file.tree, name) is not None:
        raise UserError(
            f"{file.path}: `{name}` is no reward: its parameters are those of no host; write "
            f"`def reward(prompt, completion, answer)`, or name one of: {file.listed or 'none'}"
        )
    names = [*(item.name for item in file.rewards), *(item.name for item in file.others)]
    raise UserError(f"{file.path} defines no `{name}`: {nearest(name, names) if names else 'it has no reward'}")


def _called(file: RewardFile, text: str) -> FoundReward:
    """A factory, a class or a reward with further arguments, all literal."""
    refusal = UserError(
        f"{file.path}: {text!r} is no name and no call with literal arguments, such as make_reward(weight=2)"
    )
    try:
        call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        raise refusal from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise refusal
    try:
        for value in (*call.args, *(keyword.value for keyword in call.keywords)):
            ast.literal_eval(value)
    except ValueError:
        raise refusal from None
    name = call.func.id
    expression = text
    signature = signature_of(file.tree, call)
    if signature is None and signature_of_name(file.tree, name) is not None and not call.args:
        arguments = ", ".join(ast.unparse(keyword) for keyword in call.keywords)
        expression = f"partial({name}, {arguments})"
        bound = ast.parse(expression, mode="eval").body
        signature = signature_of(file.tree, bound)
        file.tree.body.insert(0, ast.parse("from functools import partial").body[0])
    if signature is None:
        raise UserError(f"{file.path} defines no `{name}` that makes a reward; name one of: {file.listed or 'none'}")
    found = recognised(name, expression, signature, call.lineno)
    if isinstance(found, FoundReward):
        return found
    reason = found.reason if found is not None else "what it makes takes no completions"
    raise UserError(f"{file.path}: `{text}` cannot be called here: {reason}")
