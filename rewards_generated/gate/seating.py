"""Who stands beside whom when rollouts and attacks are scored: nobody, or for a reward of whole groups a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rewards_generated.gate.attacks import Attack
from rewards_generated.gate.cases import Case
from rewards_generated.gate.probes import Scored
from rewards_generated.rollout import Rollout

_SWAPPED = 8
"""Completions that are scored under the prompts and answers of several questions."""
_GROUP = 8
"""Completions of a group with an attack in it."""
_MAJORITY = 5
"""Of them, copies of the attack where most of the group is it; elsewhere it stands there once."""


class Seating:
    """The cases that give the probes their scores, and the way back from the cases' scores.

    A reward of whole groups scores rollouts with all others to their question, and every attack twice, once among
    rollouts to its question and once as most of them, each time with a right answer beside it: what everybody does can
    pay where what one does would not. The same few completions under another question are a group.
    """

    def __init__(
        self, rollouts: Sequence[Rollout], references: Sequence[Rollout], attacks: Sequence[Attack], whole_groups: bool
    ) -> None:
        """`references`: a right answer to each question under attack. Rollouts of a question stand together."""
        self._rollouts, self._references = rollouts, references
        self._attacks = [*attacks, *attacks] if whole_groups else list(attacks)
        self._whole_groups = whole_groups
        self._groups: dict[str, list[Rollout]] = {}
        for rollout in rollouts:
            self._groups.setdefault(rollout.group, []).append(rollout)
        completions = list(dict.fromkeys(rollout.completion for rollout in rollouts))[:_SWAPPED]
        self._swapped = [[replace(item, completion=text).sample for text in completions] for item in references]
        self._attacked = self._attacked_groups(attacks) if whole_groups else []

    @property
    def cases(self) -> list[Case]:
        if not self._whole_groups:
            samples = [item.sample for item in (*self._rollouts, *self._references)]
            samples += [attack.sample for attack in self._attacks] + [item for row in self._swapped for item in row]
            return [[sample] for sample in samples]
        groups: list[Case] = [[rollout.sample for rollout in group] for group in self._groups.values()]
        groups += [[item.sample for item in self._with_others(item)] for item in self._references]
        groups += [[attack.sample] * copies + [r.sample for r in others] for attack, copies, others in self._attacked]
        return groups + self._swapped

    def scored(self, scores: Sequence[Sequence[float]], **known: Any) -> Scored:
        """`scores`: of the cases. `known`: the fields of `Scored` that no case has."""
        rows = iter(scores)
        rollouts = [next(rows) for _ in (self._groups if self._whole_groups else self._rollouts)]
        references = [next(rows)[0] for _ in self._references]
        attacks = [next(rows) for _ in self._attacks]
        swapped = [next(rows) if self._whole_groups else [next(rows)[0] for _ in row] for row in self._swapped]
        rivals = None
        if self._whole_groups:
            seated = [*zip(attacks, self._attacked, strict=True)]
            rivals = [
                [(item.sample, score) for item, score in zip(others, row[copies:], strict=True) if item.correct]
                for row, (_, copies, others) in seated
            ]
            attacks = [row[:copies] for row, (_, copies, _) in seated]
        return Scored(
            rollouts=self._rollouts,
            rollout_scores=[score for row in rollouts for score in row],
            references=self._references,
            reference_scores=references,
            attacks=self._attacks,
            attack_scores=[max(row) for row in attacks],
            rivals=rivals,
            swapped=swapped,
            **known,
        )

    def _with_others(self, reference: Rollout, size: int = _GROUP) -> list[Rollout]:
        """The reference and rollouts to its question, so many together at most."""
        return [reference, *self._groups[reference.group][: size - 1]]

    def _attacked_groups(self, attacks: Sequence[Attack]) -> list[tuple[Attack, int, list[Rollout]]]:
        """Each attack, how often it stands in its group, and the others there."""
        reference = {item.group: item for item in self._references}
        return [
            (attack, copies, self._with_others(reference[attack.group], _GROUP - copies))
            for copies in (1, _MAJORITY)
            for attack in attacks
        ]
