"""What one call of a reward sees under the gate: a completion, or for a reward of whole groups all of a group."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from rewards_generated.gate.corpus import HostileInput
from rewards_generated.rollout import Sample
from rewards_generated.score import Score

Case = Sequence[Sample]

_SIZES = (2, 3, 5, 8)
"""Of the groups in which hostile inputs stand together, in turn."""
_LARGE = 64
_BATCH = 512
"""About so many completions of whole groups are sent to a worker at once: its time limit is for one batch."""


class Worker(Protocol):
    """What the gate needs of `rewards_generated.sandbox.RewardWorker`."""

    @property
    def starved(self) -> float: ...

    def load(self) -> str | None: ...

    def score(self, samples: Sequence[Sample], groups: Sequence[Hashable] | None = None) -> list[Score]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class HostileCase:
    name: str
    """What is odd about it, for the message."""
    case: Case


def hostile_cases(inputs: Sequence[HostileInput], whole_groups: bool) -> list[HostileCase]:
    """Each input alone and, where the reward sees whole groups, also in groups of several sizes, with the question of
    the first of them; and groups of equal texts."""
    alone = [HostileCase(item.name, [item.sample]) for item in inputs]
    if not whole_groups:
        return alone
    alone = [HostileCase(f"a group of one, {item.name}", item.case) for item in alone]
    together: list[HostileCase] = []
    rest = list(inputs)
    while rest:
        size = _SIZES[len(together) % len(_SIZES)]
        chosen, rest = rest[:size], rest[size:]
        name = f"a group of {len(chosen)} with {chosen[0].name}"
        together.append(HostileCase(name, _one_question([item.sample for item in chosen])))
    first, *others = (item.sample for item in inputs)
    ordinary = Sample(first.prompt, "<thinking> 17 + 5 = 22 . </thinking> <solution> 22 </solution>", first.answer)
    empty = Sample(first.prompt, "", first.answer)
    return [
        *alone,
        *together,
        HostileCase("a group of four equal completions", [ordinary] * 4),
        HostileCase("a group of four empty completions", [empty] * 4),
        HostileCase(f"a group of {_LARGE}", _one_question([ordinary, *others[: _LARGE - 1]])),
    ]


def _one_question(samples: Sequence[Sample]) -> list[Sample]:
    """The completions as they are, under the first one's prompt and answer: those of a group share both."""
    return [Sample(samples[0].prompt, sample.completion, samples[0].answer) for sample in samples]


def case_scores(worker: Worker, cases: Sequence[Case]) -> list[list[Score]]:
    """The scores of each case's completions. Cases of one completion are scored in one batch."""
    found: list[list[Score]] = []
    for batch in _batches(cases):
        groups = [number for number, case in enumerate(batch) for _ in case]
        scores = iter(worker.score([sample for case in batch for sample in case], groups))
        found += [[next(scores) for _ in case] for case in batch]
    return found


def _batches(cases: Sequence[Case]) -> Iterator[Sequence[Case]]:
    if all(len(case) == 1 for case in cases):
        yield cases
        return
    batch: list[Case] = []
    size = 0
    for case in cases:
        batch.append(case)
        size += len(case)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
