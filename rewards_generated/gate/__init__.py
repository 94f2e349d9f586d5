"""The gate: what a candidate must pass before it costs a training run.

verdict = check(code, rollouts=rollouts)
if not verdict.accepted:
    print(*verdict.reasons, sep="\\n")
"""

from __future__ import annotations

import ast
import time
from collections.abc import Sequence
from typing import TypeVar

from rewards_generated.answers import AnswerFormat, AnswerReader, AnswerRules
from rewards_generated.base import base_rewards
from rewards_generated.contract import (
    CONTRACTS,
    GROUP_SIGNATURE,
    SIGNATURE,
    WORKED_SOLUTION,
    Contract,
    ContractViolation,
    RewardFunction,
    reward_function,
    unread,
)
from rewards_generated.errors import UserError
from rewards_generated.gate.attacks import attacks, right_answer
from rewards_generated.gate.behaviour import Asking, behaviour
from rewards_generated.gate.cases import Worker, hostile_cases
from rewards_generated.gate.corpus import hostile_inputs
from rewards_generated.gate.probe_rollouts import probe_rollouts
from rewards_generated.gate.probes import probes
from rewards_generated.gate.seating import Seating
from rewards_generated.gate.settings import CheckName, GateSettings
from rewards_generated.gate.static_rules import violations
from rewards_generated.gate.variations import variations
from rewards_generated.gate.verdict import Check, Verdict
from rewards_generated.identity import CodeUnreadable, parse, tree_identity
from rewards_generated.rollout import Rollout
from rewards_generated.sandbox.settings import SandboxSettings

__all__ = ["Check", "CheckName", "GateSettings", "Verdict", "check", "static_check"]

_Item = TypeVar("_Item")

_QUESTIONS = 12
"""Questions under attack, and whose prompts and answers are swapped under the same completions."""
_SHOWN = 5
"""Violations named in one message."""


def check(
    code: str,
    *,
    rollouts: Sequence[Rollout] | None = None,
    answers: AnswerReader | None = None,
    settings: GateSettings | None = None,
    sandbox: SandboxSettings | None = None,
    contracts: Sequence[Contract] = CONTRACTS,
    seed: str = "",
    batch: int = 0,
) -> Verdict:
    """Whether the code may be trained on, with the figure and the reason of every check.

    `rollouts`: of the base policy on train questions, right and wrong; None or empty: constructed ones. Where none of
    those given has a worked solution, a reward that asks for one is refused. `answers`: the task, whose answer format
    probes and attacks have and whose base rewards stand beside the candidate; None: numbers in `<thinking>` and
    `<solution>` tags. `contracts`: those that are accepted. Nothing of the code runs outside the sandbox. Raises
    SandboxUnavailable where the settings' level cannot be reached, UserError where the reward sees whole groups and one
    of the rollouts' has several questions.
    """
    started = time.perf_counter()
    settings = settings or GateSettings()
    checks, tree, function = _static(code, settings, contracts)
    identity = None
    if tree is not None:
        try:
            identity = tree_identity(tree)
        except CodeUnreadable as error:
            checks.append(_check("syntax", False, str(error), line=error.line))
            function = None
    if function is not None and function.worked_solution and rollouts and not any(r.worked_solution for r in rollouts):
        message = (
            f"`{function.name}` asks for `{WORKED_SOLUTION}`, but the task has no worked solutions: leave the "
            "parameter out, or take a task that has them"
        )
        checks.append(_check("signature", False, message, line=function.line))
    if function is not None and function.kind == "group":
        _require_one_question(rollouts or ())
    if tree is not None and function is not None and all(item.passed for item in checks):
        known = (answers or AnswerRules(), settings, sandbox or SandboxSettings(), seed, batch)
        checks += _dynamic(code, tree, function, rollouts, *known)
    return Verdict(
        accepted=all(item.passed or not item.enforced for item in checks),
        identity=identity,
        kind=function.kind if function else "sample",
        checks=tuple(checks),
        seconds=round(time.perf_counter() - started, 4),
    )


def static_check(code: str, settings: GateSettings | None = None) -> list[Check]:
    """The checks that need no sandbox: syntax, policy and signature."""
    return _static(code, settings or GateSettings(), CONTRACTS)[0]


def _static(
    code: str, settings: GateSettings, contracts: Sequence[Contract]
) -> tuple[list[Check], ast.Module | None, RewardFunction | None]:
    if len(code) > settings.maximum_characters:
        message = f"the code has {len(code):,} characters; at most {settings.maximum_characters:,} are read: shorten it"
        return [_check("syntax", False, message, value=float(len(code)))], None, None
    try:
        tree = parse(code)
    except CodeUnreadable as error:
        return [_check("syntax", False, f"not Python: {error}", line=error.line)], None, None
    nodes = sum(1 for _ in ast.walk(tree))
    if nodes > settings.maximum_nodes:
        message = f"the code has {nodes:,} syntax nodes; at most {settings.maximum_nodes:,} are allowed: shorten it"
        return [_check("syntax", False, message, value=float(nodes))], tree, None
    checks = [_check("syntax", True, "it is Python", value=float(nodes))]
    try:
        found = violations(tree)
    except RecursionError:
        return [_check("syntax", False, "expressions are nested too deeply")], tree, None
    if found:
        parts = [f"line {violation.line}: {violation.reason}" for violation in found[:_SHOWN]]
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        checks.append(_check("policy", False, "; ".join(parts) + more, line=found[0].line, value=float(len(found))))
    else:
        checks.append(_check("policy", True, "nothing that the policy refuses", value=0.0))
    try:
        function = reward_function(tree)
    except ContractViolation as error:
        checks.append(_check("signature", False, str(error), line=error.line))
        return checks, tree, None
    if (other := _other_contract(function, contracts)) is not None:
        checks.append(_check("signature", False, other, line=function.line))
        return checks, tree, None
    checks.append(_check("signature", True, f"`{function.name}` takes one {function.kind} per call"))
    return checks, tree, function


def _other_contract(function: RewardFunction, contracts: Sequence[Contract]) -> str | None:
    """What to write instead of a function whose contract is not among these."""
    if function.kind == "group":
        return None if "group" in contracts else f"rewards of whole groups are not taken here: write `{SIGNATURE}`"
    return None if "completion" in contracts else f"only rewards of whole groups are taken: write `{GROUP_SIGNATURE}`"


def _check(
    name: CheckName, passed: bool, message: str, *, line: int | None = None, value: float | None = None
) -> Check:
    if line is not None and not message.startswith("line "):
        message = f"line {line}: {message}"
    return Check(name=name, passed=passed, enforced=True, message=message, line=line, value=value)


def _require_one_question(rollouts: Sequence[Rollout]) -> None:
    questions: dict[str, tuple[str, str, str | None]] = {}
    for rollout in rollouts:
        if questions.setdefault(rollout.group, rollout.sample.question) != rollout.sample.question:
            raise UserError(
                f"the rollouts of group {rollout.group[:60]!r} differ in prompt, answer or worked solution, and the "
                "reward sees whole groups: give each question a `group` of its own"
            )


def _dynamic(
    code: str,
    tree: ast.Module,
    function: RewardFunction,
    rollouts: Sequence[Rollout] | None,
    answers: AnswerReader,
    settings: GateSettings,
    sandbox: SandboxSettings,
    seed: str,
    batch: int,
) -> list[Check]:
    from rewards_generated.adapters.batch import entry_point
    from rewards_generated.sandbox import RewardWorker

    limits = sandbox.model_copy(
        update={
            "batch_seconds": settings.batch_seconds,
            "retry_factor": 0.0,
            "replay_share": 0.0,
            "recycle_calls": 10**6,
        }
    )
    entry = entry_point(tree, function)

    def make(hash_seed: int) -> Worker:
        worker: Worker = RewardWorker(code, limits, entry=entry, hash_seed=hash_seed)
        return worker

    form = answers.answer_format
    chosen = _whole_groups(rollouts or probe_rollouts(form, seed=seed), settings.maximum_rollouts)
    honest = _references(chosen, form)
    references = [right_answer(rollout, form) for rollout in honest]
    seating = Seating(chosen, references, attacks(honest, form, seed), function.kind == "group")
    hostile = hostile_cases([*hostile_inputs(), *variations(tree, form, chosen, seed)], function.kind == "group")
    asking = Asking(seed, batch, limits.mode == "fast")
    result = behaviour(make, hostile, seating.cases, function.kind, settings, asking)
    if not result.scores:
        return result.checks
    scored = seating.scored(
        result.scores,
        base=list(base_rewards(answers).values()),
        form=form,
        constructed=not rollouts,
        unread=unread(tree, function),
    )
    return result.checks + probes(scored, settings)


def _whole_groups(rollouts: Sequence[Rollout], limit: int) -> list[Rollout]:
    """About `limit` rollouts: the whole groups of questions spread evenly over those given."""
    groups: dict[str, list[Rollout]] = {}
    for rollout in rollouts:
        groups.setdefault(rollout.group, []).append(rollout)
    questions = max(1, round(limit * len(groups) / len(rollouts)))
    return [rollout for group in _spread(list(groups.values()), questions) for rollout in group][:limit]


def _spread(items: Sequence[_Item], count: int) -> list[_Item]:
    """At most `count` of the items, evenly over all of them."""
    if len(items) <= count:
        return list(items)
    return [items[place * len(items) // count] for place in range(count)]


def _references(rollouts: Sequence[Rollout], form: AnswerFormat) -> list[Rollout]:
    """One right rollout for each of some questions, spread evenly over them; a made one where the policy has none."""
    by_group: dict[str, Rollout] = {}
    for rollout in rollouts:
        known = by_group.get(rollout.group)
        if known is None or (rollout.correct and not known.correct):
            by_group[rollout.group] = rollout
    return [
        rollout if rollout.correct else right_answer(rollout, form)
        for rollout in _spread(list(by_group.values()), _QUESTIONS)
    ]
