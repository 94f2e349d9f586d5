"""Is a search without rounds faster, and does it find candidates as good? In simulation; nothing is trained.

    python -m tests.benchmarks.asynchronous [--repeats 8000] [--out tests/benchmarks/asynchronous.json]

Time is that of the event queue of `plan --workers`: rounds that wait for each other, against a candidate that is
proposed whenever a worker is free. A screening is a job of 30 minutes, within the spread named; a round is proposed in
a minute, a candidate checked in five seconds, a result recorded in 20 ms.

Quality comes from a model of an author who learns from feedback, as evolution by tournaments: a candidate is a child of
that one of four, drawn from those its author could know of, that has the highest measured score, or, with the
probability named, a fresh draw. True qualities of fresh draws have standard deviation 1; a child is its parent plus a
normal step; a measurement adds normal noise. What counts is the mean true quality of the three that are measured best
at the end. Differences are those without rounds less those in rounds, with 95 % intervals of their means over repeats;
nothing is lost where the interval lies above -0.05. Known candidates are counted by the event queue; which they are is
taken by the order of their proposal.

A search without rounds may need more candidates for the same quality: `as good` has the fewest tried with which nothing
is lost, and how much faster than in rounds it is then. More candidates are more GPU hours.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.forecast.rehearsal import Alone, Batch, JobSize, Rehearsal
from search.forecast.schedule import Schedule, Times, asynchronous, in_rounds
from tests.benchmarks.machine import machine

Floats = NDArray[np.float64]
JOB, PROPOSING, CHECKING, RECORDING = 1800.0, 60.0, 5.0, 0.02
CHOSEN, IN_A_TOURNAMENT, TOLERATED = 3, 4, 0.05
MORE = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0)
"""Times as many candidates, tried in turn until nothing is lost."""
SCHEDULES = 20
"""Draws of the jobs' times."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A search of so many rounds of so many candidates on so many workers."""

    rounds: int
    candidates: int
    workers: int
    spread: float
    """Standard deviation of the logarithm of a job's time."""


SHAPES = tuple(
    Shape(rounds, candidates, workers, spread)
    for (rounds, candidates), workers, spread in product(((5, 10), (5, 64)), (8, 64), (0.1, 0.4))
)


@dataclass(frozen=True, slots=True)
class Author:
    step: float
    drift: float
    """How much worse than its parent a child is on average."""
    fresh: float
    """Probability that it is nobody's child."""
    noise: float
    """Standard deviation of a measurement."""


AUTHORS = tuple(
    Author(step, drift, fresh, noise)
    for (step, drift), fresh, noise in product(((0.5, 0.0), (0.5, 0.25), (1.0, 0.5)), (0.0, 0.3), (0.3, 1.0))
)


def qualities(known: Floats, author: Author, repeats: int, luck: np.random.Generator) -> Floats:
    """Mean true quality of those chosen, of each repeat. `known`: of each candidate, in order."""
    count = len(known)
    true, measured = np.empty((repeats, count)), np.empty((repeats, count))
    rows = np.arange(repeats)
    for number, seen in enumerate(known.astype(int)):
        fresh = luck.normal(size=repeats)
        true[:, number] = fresh
        if seen:
            drawn = luck.integers(0, seen, size=(IN_A_TOURNAMENT, repeats))
            parent = drawn[measured[rows, drawn].argmax(axis=0), rows]
            child = true[rows, parent] - author.drift + author.step * luck.normal(size=repeats)
            true[:, number] = np.where(luck.random(repeats) < author.fresh, fresh, child)
        measured[:, number] = true[:, number] + author.noise * luck.normal(size=repeats)
    chosen = np.argpartition(-measured, CHOSEN, axis=1)[:, :CHOSEN]
    found: Floats = np.take_along_axis(true, chosen, axis=1).mean(axis=1)
    return found


def planned(rounds: int, candidates: int) -> Rehearsal:
    """The rounds alone; what stands before them and after takes as long either way."""
    names = iter(range(rounds * candidates))
    screenings = [
        Batch(
            tuple(JobSize(1, 1, 0, frozenset({f"candidate-{next(names)}"})) for _ in range(candidates)),
            (RECORDING,) * candidates,
        )
        for _ in range(rounds)
    ]
    before = (Alone("proposing", candidates), *[Alone("checking", 1)] * candidates)
    return Rehearsal((), tuple((*before, screening) for screening in screenings), ())


def schedules(shape: Shape, plan: Rehearsal) -> tuple[list[Schedule], list[Schedule]]:
    draws = Random(f"{shape}")
    factors = [draws.lognormvariate(-(shape.spread**2) / 2, shape.spread) for _ in range(4096)]
    times = Times(JOB, {1: 0.0}, {1: 0.0}, PROPOSING, CHECKING, tuple(factors))
    jobs = sum(len(batch.jobs) for batch in plan.batches)
    drawn = [draws.choices(factors, k=jobs) for _ in range(SCHEDULES)]
    return (
        [in_rounds(plan, times, shape.workers, each) for each in drawn],
        [asynchronous(plan, times, shape.workers, each) for each in drawn],
    )


def _mean(found: Floats) -> dict[str, float]:
    half = 1.96 * float(found.std(ddof=1)) / len(found) ** 0.5
    mean = float(found.mean())
    return {"mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


def compared(shape: Shape, repeats: int) -> dict[str, Any]:
    rounds, free = schedules(shape, planned(shape.rounds, shape.candidates))
    found = {1.0: free}
    for more in MORE[1:]:
        found[more] = schedules(shape, planned(round(more * shape.rounds * shape.candidates), 1))[1]
    faster = {more: _wall(rounds) / _wall(without) for more, without in found.items()}
    known = {more: _known(without) for more, without in found.items()}
    authors = []
    for number, author in enumerate(AUTHORS):
        base = qualities(_known(rounds), author, repeats, np.random.default_rng([number, 0]))
        as_many = as_good = None
        for more in MORE:
            luck = np.random.default_rng([number, 1])
            difference = _mean(qualities(known[more], author, repeats, luck) - base)
            as_many = as_many or difference
            if difference["low"] > -TOLERATED:
                as_good = {"candidates": more, "faster": round(faster[more], 3), "difference": difference}
                break
        authors.append({**asdict(author), "in rounds": _mean(base), "as many": as_many, "as good": as_good})
    reached = [item["as good"] for item in authors]
    return {
        **asdict(shape),
        "faster": round(faster[1.0], 3),
        "known": [round(float(each.mean()), 1) for each in (_known(rounds), known[1.0])],
        "authors who lose nothing": sum(item is not None and item["candidates"] == 1 for item in reached),
        "faster to the same quality": sorted(0.0 if item is None else item["faster"] for item in reached),
        "each": authors,
    }


def _wall(found: list[Schedule]) -> float:
    return float(np.mean([schedule.wall for schedule in found]))


def _known(found: list[Schedule]) -> Floats:
    return np.mean([schedule.known for schedule in found], axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=8000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    found = []
    for shape in SHAPES:
        item = compared(shape, arguments.repeats)
        found.append(item)
        print(json.dumps({name: value for name, value in item.items() if name != "each"}), flush=True)
    result = {
        **machine(),
        "repeats": arguments.repeats,
        "seconds": {"job": JOB, "proposing a round": PROPOSING, "checking a candidate": CHECKING},
        "authors": len(AUTHORS),
        "searches": found,
    }
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
