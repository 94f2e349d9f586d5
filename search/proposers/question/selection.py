"""Which earlier candidates a prompt shows with their source: the best, and failures that teach, none of them twice.

A language model remembers nothing of earlier rounds: each call is a conversation of its own, and the prompt is all that
it knows. So a source that an earlier round's prompt held is shown again as long as it is among the best or teaches
most. What is never shown twice is what would teach nothing: a candidate that is alike to one that is shown, a failure
with the reason of another, and examples that an earlier round had (see `prompt.turned`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from eval.tasks.testbed.draws import Draws
from search.proposers.base import FailedCandidate, Feedback, ProposedCandidate, RankedCandidate
from search.proposers.question.evidence import Reference

AGREEING = 0.6
"""Share of pairs of a right and a wrong completion from which agreement before training counts as high."""
FALLEN = 0.05
"""Accuracy of the training completions below its best point, from which it counts as fallen."""


class _Comparable(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def alike(self) -> frozenset[str]: ...


Item = TypeVar("Item", bound=_Comparable)


@dataclass(frozen=True, slots=True)
class Lesson:
    """A failure that teaches. `place`: in the ranking, from 1; None: it has none."""

    candidate: RankedCandidate | FailedCandidate
    place: int | None
    reason: str


def unlike(items: Iterable[Item], count: int) -> list[Item]:
    """The first so many, without any that is alike to one before it."""
    kept: list[Item] = []
    for item in items:
        if len(kept) == count:
            break
        if all(item.name not in other.alike and other.name not in item.alike for other in kept):
            kept.append(item)
    return kept


def drawn(proposed: Sequence[ProposedCandidate], count: int, seed: int) -> list[ProposedCandidate]:
    """So many unlike each other, by chance: where nothing is told of what came of them."""
    left, draws = list(proposed), Draws(f"sources {seed}")
    mixed = [left.pop(draws.integer(0, len(left) - 1)) for _ in range(len(left))]
    return sorted(unlike(mixed, count), key=proposed.index)


def lessons(
    feedback: Feedback, best: Sequence[RankedCandidate], count: int, reference: Reference | None
) -> list[Lesson]:
    """So many failures, of unlike kinds first: one that agreed with right answers before training and scored low, one
    that the gate rejected, one whose accuracy fell while it trained, one with signs of reward hacking; then further
    rejections for other reasons, and the end of the table."""
    places = {item.name: place for place, item in enumerate(feedback.ranked, start=1)}
    shown = {item.name for item in best}
    near = {name for item in best for name in item.alike}
    lower = [item for item in reversed(feedback.ranked) if item.name not in shown]
    adding_nothing = next((score.f1 for score in reference.scores if score.runs), None) if reference else None
    # One per kind of reason: a second says nothing more.
    rejections = _of_other_reasons(sorted(feedback.failed, key=lambda item: -item.round))
    kinds: list[Iterator[Lesson]] = [
        _promising(lower, len(feedback.ranked), places, adding_nothing),
        rejections,
        _fallen(lower, places),
        _flagged((*feedback.ranked, *feedback.stopped), places),
        rejections,
        (Lesson(item, places[item.name], f"F1 {item.f1:.3f}, at the end of the table.") for item in lower),
    ]
    found: list[Lesson] = []
    while kinds and len(found) < count:
        kind = kinds.pop(0)
        lesson = next((item for item in kind if item.candidate.name not in shown | near), None)
        if lesson is not None:
            shown.add(lesson.candidate.name)
            near |= lesson.candidate.alike if isinstance(lesson.candidate, RankedCandidate) else set()
            found.append(lesson)
            if not kinds:  # the last kind fills what is left
                kinds.append(kind)
    return found


def middle(feedback: Feedback, shown: Iterable[str]) -> RankedCandidate | None:
    """The one nearest to the middle of the ranking that is not shown."""
    left = set(shown)
    centre = (len(feedback.ranked) - 1) / 2
    order = sorted(range(len(feedback.ranked)), key=lambda place: (abs(place - centre), place))
    return next((feedback.ranked[place] for place in order if feedback.ranked[place].name not in left), None)


def _promising(
    lower: Sequence[RankedCandidate], ranked: int, places: dict[str, int], adding_nothing: float | None
) -> Iterator[Lesson]:
    """Of those in the lower half, or below what adding nothing scores, the most agreeing first."""
    agreeing = [
        (item.prescreening.preference.value, item)
        for item in lower
        if item.prescreening
        and item.prescreening.preference
        and (places[item.name] > ranked / 2 or (adding_nothing is not None and item.f1 < adding_nothing))
    ]
    for share, item in sorted(agreeing, key=lambda pair: -pair[0]):
        if share >= AGREEING:
            yield Lesson(
                item,
                places[item.name],
                f"Before training it gave the right one of two completions of a question more in {share:.0%} of pairs; "
                f"yet after training F1 is {item.f1:.3f}"
                + ("" if adding_nothing is None else f", where the base rewards alone have {adding_nothing:.3f}")
                + ".",
            )


def _fallen(lower: Sequence[RankedCandidate], places: dict[str, int]) -> Iterator[Lesson]:
    fallen = [(item.training.fall, item) for item in lower if item.training]
    for fall, item in sorted(fallen, key=lambda pair: -pair[0]):
        if fall >= FALLEN:
            yield Lesson(
                item,
                places[item.name],
                f"In training, the accuracy of its completions fell by {fall:.2f} from its best stretch to its last.",
            )


def _flagged(items: Sequence[RankedCandidate], places: dict[str, int]) -> Iterator[Lesson]:
    for item in items:
        if item.flags:
            signs = "; ".join(f"{flag.name} ({flag.detail})" for flag in item.flags)
            yield Lesson(item, places.get(item.name), f"Signs of reward hacking: {signs}.")


def _of_other_reasons(failed: Sequence[FailedCandidate]) -> Iterator[Lesson]:
    told: set[str] = set()
    for item in failed:
        reason = item.reasons[0] if item.reasons else ""
        kind = re.sub(r"'[^']*'|`[^`]*`|\"[^\"]*\"|[\d.]+", "", reason)
        if not item.duplicate and kind not in told:
            told.add(kind)
            yield Lesson(item, None, "\n".join(item.reasons))
