"""Scores a file of rollouts with an ensemble: per member and in total, what cannot be scored with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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
"""Rollouts sent to a worker at once: its time limit is for one batch."""


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
    schedule. Raises UserError naming the line, or where `group_normalised` finds a
    completion alone in its group."""
    lines = read_samples(path)
    if not any(line.sample.worked_solution for line in lines):
        ensemble.require_worked_solutions(f"no line of {path} has a `worked_solution`")
    if ensemble.aggregation == "group_normalised":
        _require_groups(ensemble, path, lines)
    members = [member.name for member in ensemble.members]
    components: dict[str, list[float | None]] = {name: [] for name in members}
    reasons: dict[str, dict[int, str]] = {name: {} for name in members}
    groups = [line.group for line in lines]
    with EnsembleScorer(ensemble, sandbox) as scorer:
        for start in range(0, len(lines), BATCH):
            batch = lines[start : start + BATCH]
            found = scorer.score([line.sample for line in batch], groups[start : start + BATCH])
            for name in members:
                components[name] += found.components[name]
                for place, reason in found.reasons.get(name, {}).items():
                    reasons[name][start + place] = reason
    # A batch's own totals would normalise within a part of a group.
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


def _require_groups(ensemble: Ensemble, path: Path, lines: Sequence[RolloutLine]) -> None:
    sizes = Counter(line.group for line in lines)
    alone = next((line for line in lines if sizes[line.group] == 1), None)
    if alone is not None:
        raise UserError(
            f"{path}, line {alone.number}: the completion is alone in its group, and {ensemble.name!r} aggregates by "
            "group_normalised, which compares completions of one prompt: give several of one `prompt` or `group`"
        )
