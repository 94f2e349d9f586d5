"""Whether an exported folder gives the values that were gated: asked in a fresh, sealed process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from rewards_generated.adapters.batch import code_entry_point
from rewards_generated.answers import AnswerFormat
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import UserError
from rewards_generated.gate.attacks import attacks, right_answer
from rewards_generated.gate.corpus import hostile_inputs
from rewards_generated.gate.probe_rollouts import probe_rollouts
from rewards_generated.rollout import Rollout, Sample
from rewards_generated.sandbox import EntryPoint, RewardWorker, SandboxSettings, Seal

MODULES = (
    "__future__", "atexit", "functools", "hashlib", "json", "linecache", "logging", "os", "select", "subprocess", "sys",
    "threading", "types", "typing",
)  # fmt: skip
"""What an exported `reward.py` imports beside what every worker has."""
QUESTIONS = 12
_CALL = """

def exported(prompts, completions, answer, worked_solution):
    samples = _samples(prompts, completions, answer, worked_solution)
    return _scores(MEMBERS[{place}], samples, list(range(len(samples))))
"""
_GROUP_CALL = """

def exported(prompt, group, answer, worked_solution=None):
    rows = [[text] * len(group) for text in (prompt, answer, worked_solution)]
    return _scores(MEMBERS[{place}], _samples(rows[0], group, rows[1], rows[2]), rows[0])
"""


def require_same_scores(
    ensemble: Ensemble, source: Path, rollouts: Sequence[Rollout] | None, sandbox: SandboxSettings | None
) -> None:
    """Raises UserError unless every member of the written `reward.py` scores rollouts, attacks and odd text as its code
    does in the sandbox. `rollouts`: of the base policy; None: constructed ones. Base rewards are ours and not asked."""
    text = source.read_text(encoding="utf-8")
    samples, groups = _asked(rollouts, ensemble.answer_format)
    limits = (sandbox or SandboxSettings()).model_copy(update={"mode": "default"})
    for place, member in enumerate(ensemble.members):
        if member.code is not None:
            expected = _scores(member.code, code_entry_point(member.code), samples, groups, limits)
            call = _GROUP_CALL if member.sees_groups else _CALL
            kind = "group" if member.sees_groups else "batch"
            entry = EntryPoint("exported", kind=kind, answer_columns=("answer",), worked_solution=True)  # type: ignore[arg-type]
            found = _scores(text + call.format(place=place), entry, samples, groups, limits)
            _require_equal(ensemble, member, samples, expected, found)


def _scores(
    code: str, entry: EntryPoint, samples: list[Sample], groups: list[int], limits: SandboxSettings
) -> list[float | None]:
    with RewardWorker(code, limits, entry=entry, seal=Seal(extra_modules=MODULES)) as worker:
        return [score.value for score in worker.score(samples, groups)]


def _require_equal(
    ensemble: Ensemble,
    member: Member,
    samples: Sequence[Sample],
    expected: Sequence[float | None],
    found: Sequence[float | None],
) -> None:
    for sample, gated, written in zip(samples, expected, found, strict=True):
        same = gated is written if gated is None or written is None else math.isclose(gated, written, rel_tol=1e-12)
        if not same:
            raise UserError(
                f"member {member.name!r} of ensemble {ensemble.name!r} is not exported: written out it gives {written} "
                f"where the code that passed the gate gives {gated}, on {sample.completion[:60]!r}; it depends on what "
                "surrounds it (names, files, how it is loaded): make it a module that stands alone"
            )


def _asked(rollouts: Sequence[Rollout] | None, form: AnswerFormat) -> tuple[list[Sample], list[int]]:
    """Samples and the number of the group of each: of a question all, in one order; odd text alone."""
    by_question: dict[str, list[Rollout]] = {}
    for rollout in rollouts or probe_rollouts(form):
        by_question.setdefault(rollout.group, []).append(rollout)
    chosen = list(by_question.values())[:QUESTIONS]
    honest = [next((item for item in group if item.correct), right_answer(group[0], form)) for group in chosen]
    cases = [[item.sample for item in group] for group in chosen]
    cases += [[attack.sample] for attack in attacks(honest, form)] + [[item.sample] for item in hostile_inputs()]
    numbered = [(sample, number) for number, case in enumerate(cases) for sample in case]
    return [sample for sample, _ in numbered], [number for _, number in numbered]
