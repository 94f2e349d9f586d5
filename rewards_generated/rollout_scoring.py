"""Scores a file of rollouts with an ensemble: per member and in total, what cannot be scored with its reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewards_generated.aggregation import totals
from rewards_generated.ensemble import Ensemble
from rewards_generated.errors import UserError
from rewards_generated.rollout_file import RolloutLine, read_samples
from rewards_generated.sandbox.settings import SandboxSettings
from rewards_generated.scorer import EnsembleScorer

BATCH = 256
"""About so many rollouts are sent to a worker at once: its time limit is for one batch."""


@dataclass(frozen=True, slots=True)
class ScoredRollout:
    """`total` is None where any member has no score; `unscored` says why, by member."""

    line: RolloutLine
    scores: dict[str, float | None]
    """Unweighted, by member in the ensemble's order."""
    total: float | None
    unscored: dict[str, str]

    def record(self) -> dict[str, Any]:
        """As plain JSON values, with the line's `id` if it has one."""
        name = {} if self.line.id is None else {"id": self.line.id}
        reasons = {"unscored": self.unscored} if self.unscored else {}
        return {"line": self.line.number, **name, "total": self.total, "scores": self.scores, **reasons}


def score_file(
    ensemble: Ensemble, path: Path, sandbox: SandboxSettings | None = None, progress: float = 0.0
) -> list[ScoredRollout]:
    """Every rollout of the file, in order. `progress`: share of a run's steps that are done, for weights with a
    schedule. Raises UserError naming the line, also where `group_normalised` or a member that sees whole groups finds a
    completion alone in its group, and where such a member finds several questions in one."""
    lines = read_samples(path)
    if not any(line.sample.worked_solution for line in lines):
        ensemble.require_worked_solutions(f"no line of {path} has a `worked_solution`")
    groups = [line.group for line in lines]
    places_of: dict[str, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        places_of[group].append(place)
    _require_groups(ensemble, path, lines, list(places_of.values()))
    members = [member.name for member in ensemble.members]
    components: dict[str, list[float | None]] = {name: [None] * len(lines) for name in members}
    reasons: dict[str, dict[int, str]] = {name: {} for name in members}
    with EnsembleScorer(ensemble, sandbox) as scorer:
        for batch in _batches(list(places_of.values())):
            found = scorer.score([lines[place].sample for place in batch], [groups[place] for place in batch])
            for name in members:
                for place, score in zip(batch, found.components[name], strict=True):
                    components[name][place] = score
                for row, reason in found.reasons.get(name, {}).items():
                    reasons[name][batch[row]] = reason
    whole = totals(ensemble, list(components.values()), groups, progress)
    return [
        ScoredRollout(
            line,
            {name: components[name][place] for name in members},
            whole[place],
            {name: found[place] for name, found in reasons.items() if place in found},
        )
        for place, line in enumerate(lines)
    ]


def _batches(groups: Sequence[list[int]]) -> Iterator[list[int]]:
    """Whole groups, as few as make a batch."""
    batch: list[int] = []
    for places in groups:
        batch += places
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _require_groups(
    ensemble: Ensemble, path: Path, lines: Sequence[RolloutLine], groups: Sequence[Sequence[int]]
) -> None:
    seeing = ensemble.seeing_groups
    if seeing:
        why = f"{', '.join(map(repr, seeing))} of {ensemble.name!r} sees all completions of one prompt together"
    elif ensemble.aggregation == "group_normalised":
        why = f"{ensemble.name!r} aggregates by group_normalised, which compares completions of one prompt"
    else:
        return
    for group in groups:
        first = lines[group[0]]
        if len(group) == 1:
            raise UserError(
                f"{path}, line {first.number}: the completion is alone in its group, and {why}: give several of one "
                "`prompt` or `group`"
            )
        other = next((lines[place] for place in group if lines[place].sample.question != first.sample.question), None)
        if seeing and other is not None:
            raise UserError(
                f"{path}, line {other.number}: prompt, answer or worked solution differ from line {first.number} of "
                f"the same group, and {why}: give each question a `group` of its own"
            )
