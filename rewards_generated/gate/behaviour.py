"""Whether a reward keeps its contract when it is called: in the sandbox, on the hostile corpus and on rollouts."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rewards_generated.gate.corpus import GROWING, HostileInput, growing_sample
from rewards_generated.gate.settings import CheckName, GateSettings
from rewards_generated.gate.verdict import Check
from rewards_generated.rollout import Sample
from rewards_generated.score import Score

_SINGLES = 6
"""Samples that are also scored alone."""
_SHORT_GROWTH = 400
"""Characters of the first, short inputs of the time check: what hangs on these is not tried longer."""


class Worker(Protocol):
    """What the gate needs of `rewards_generated.sandbox.RewardWorker`."""

    def load(self) -> str | None: ...

    def score(self, samples: Sequence[Sample]) -> list[Score]: ...

    def close(self) -> None: ...


WorkerFactory = Callable[[int], Worker]
"""Hash seed → a fresh worker with the code of the candidate."""


@dataclass(slots=True)
class Behaviour:
    """Checks made so far and, if nothing failed, the scores of the samples that the probes need."""

    checks: list[Check] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


def behaviour(
    make: WorkerFactory,
    hostile: Sequence[HostileInput],
    samples: Sequence[Sample],
    batch: bool,
    settings: GateSettings,
) -> Behaviour:
    """Runs the contract checks on the hostile inputs and on `samples`, which are scored on the way.

    Stops after the first check whose failure makes the later ones void; `scores` is empty then.
    """
    result = Behaviour()

    def report(name: CheckName, passed: bool, message: str, value: float | None = None) -> bool:
        check = Check(name=name, passed=passed, enforced=settings.enforces(name), message=message, value=value)
        result.checks.append(check)
        return passed

    worker = make(0)
    try:
        problem = worker.load()
        if not report("loads", problem is None, "the module runs" if problem is None else _sentence(problem)):
            return result
        hostile_scores = _named_scores(worker, [item.sample for item in hostile])
        named = [
            (f"on {item.name}", score)
            for item, score in zip(hostile, hostile_scores, strict=False)
            if score.value is None
        ]
        scores = worker.score(samples) if not _hopeless(named) else []
        named += [
            (f"on an ordinary rollout ({sample.completion[:60]!r})", score)
            for sample, score in zip(samples, scores, strict=bool(scores))
            if score.value is None
        ]
        tried = len(hostile) + len(samples)
        report("finite", not named, _finite_message(named, tried), len(named) / tried)
        values = [score.value for score in scores]
        if not values or any(value is None for value in values):
            return result
        result.scores = [value for value in values if value is not None]
        every = [item.sample for item in hostile] + list(samples)
        known = [score.value for score in hostile_scores] + values
        _repeat(make, worker, (every[: len(hostile)], samples), known, report)
        _reorder(worker, ([*range(len(hostile))], [*range(len(hostile), len(every))]), every, known, batch, report)
        if batch:
            _split(worker, every, known, report)
        _grow(worker, settings, report)
    finally:
        worker.close()
    return result


Report = Callable[[CheckName, bool, str, float | None], bool]


def _repeat(
    make: WorkerFactory,
    worker: Worker,
    batches: Sequence[Sequence[Sample]],
    known: Sequence[float | None],
    report: Report,
) -> None:
    """The same calls again, in the same worker and in a fresh one with another hash seed."""
    samples = [sample for batch in batches for sample in batch]
    again = _differences(known, [score for batch in batches for score in worker.score(batch)])
    fresh = make(1)
    try:
        elsewhere = _differences(known, [score for batch in batches for score in fresh.score(batch)])
    finally:
        fresh.close()
    share = max(len(again), len(elsewhere)) / len(samples)
    if again:
        message = _unlike("when called again with the same arguments", again, samples) + "; use no randomness, no time"
    elif elsewhere:
        message = (
            _unlike("in another process with another hash seed", elsewhere, samples)
            + "; do not depend on the order of a set, on `hash` or on `id`: sort before you iterate or sum"
        )
    else:
        message = "the same arguments always give the same value"
    report("deterministic", not (again or elsewhere), message, share)


def _reorder(
    worker: Worker,
    batches: Sequence[Sequence[int]],
    samples: Sequence[Sample],
    known: Sequence[float | None],
    batch: bool,
    report: Report,
) -> None:
    """Another order, some samples twice, some alone: nothing may be carried from call to call.

    A batch function is given the same batches in another order: what it does with other batches is another check.
    """
    draw = random.Random(0)
    order = [index for indices in batches for index in indices]
    shuffled: list[Score] = []
    if batch:
        orders = [draw.sample(indices, len(indices)) for indices in batches]
        order = [index for indices in orders for index in indices]
        for indices in orders:
            shuffled += worker.score([samples[index] for index in indices])
    else:
        order += draw.sample(order, min(len(order), 20))
        draw.shuffle(order)
        shuffled = worker.score([samples[index] for index in order])
    different = _differences([known[index] for index in order], shuffled)
    if batch:
        # A completion that breaks the call breaks that of all others with it, wherever it stands.
        different = [place for place in different if None not in (known[order[place]], shuffled[place].value)]
    alone = []
    for index in [] if batch else draw.sample(range(len(samples)), min(_SINGLES, len(samples))):
        alone += [index] if worker.score([samples[index]])[0].value != known[index] else []
    share = max(len(different) / len(order), len(alone) / _SINGLES)
    message = "the order of calls does not matter"
    if different or alone:
        places = [order[place] for place in different] or alone
        message = (
            _unlike("when the calls come in another order", places, samples)
            + "; keep nothing between calls: no module-level lists, dicts or counters that a call changes, no mutable "
            "default arguments"
        )
    report("stateless", not (different or alone), message, share)


def _split(worker: Worker, samples: Sequence[Sample], known: Sequence[float | None], report: Report) -> None:
    """A batch function must give each sample what it gives it alone: f(batch) == f(singletons)."""
    scored = [index for index, value in enumerate(known) if value is not None]
    chosen = random.Random(1).sample(scored, min(16, len(scored)))
    together = worker.score([samples[index] for index in chosen])
    pairs = zip(chosen, together, strict=True)
    different = [
        index
        for index, score in pairs
        if not _equal(score.value, known[index]) or not _equal(worker.score([samples[index]])[0].value, known[index])
    ]
    message = "every completion gets the same value alone as in a batch"
    if different:
        message = (
            _unlike("alone or in a small batch", different, samples)
            + "; score each completion by itself, without means, ranks or maxima over the batch"
        )
    report("batch_invariant", not different, message, len(different) / max(1, len(chosen)))


def _grow(worker: Worker, settings: GateSettings, report: Report) -> None:
    """Time must not explode with length, whatever is repeated.

    What is too slow is measured once more, alone, so that a busy machine alone rejects nothing.
    """
    seconds = 0.0
    for characters in (_SHORT_GROWTH, settings.growth_characters):
        seconds = _timed(worker, [growing_sample(unit, characters) for unit in GROWING.values()])
        if seconds <= settings.growth_seconds:
            continue
        for name, unit in GROWING.items():
            sample = [growing_sample(unit, characters)]
            seconds = _timed(worker, sample)
            if seconds > settings.growth_seconds and not math.isinf(seconds):
                seconds = min(seconds, _timed(worker, sample))
            if seconds > settings.growth_seconds:
                report(
                    "bounded_time",
                    False,
                    f"{characters} characters of {name} take more than {settings.growth_seconds:g} s: some pattern or "
                    "loop explodes with length; write patterns without nested or neighbouring repeats such as `(a+)+` "
                    "or `.*.*`, bound them as in `{1,40}`, avoid quadratic loops",
                    settings.batch_seconds if math.isinf(seconds) else seconds,
                )
                return
    message = f"{len(GROWING)} inputs of {settings.growth_characters} characters take {seconds:.2f} s together"
    report("bounded_time", True, message, seconds)


def _named_scores(worker: Worker, samples: Sequence[Sample]) -> list[Score]:
    """The scores of one batch or, if that was killed, those up to the first sample that is killed alone."""
    scores = worker.score(samples)
    if not all(_was_killed(score) for score in scores):
        return scores
    for index, sample in enumerate(samples):
        alone = worker.score([sample])[0]
        scores[index] = alone
        if _was_killed(alone):
            return scores[: index + 1]
    return scores


def _timed(worker: Worker, samples: Sequence[Sample]) -> float:
    """Wall-clock seconds of one batch; infinite if it was killed."""
    start = time.perf_counter()
    scores = worker.score(samples)
    return math.inf if any(_was_killed(score) for score in scores) else time.perf_counter() - start


def _was_killed(score: Score) -> bool:
    return "killed" in (score.error or "")


def _hopeless(failures: Sequence[tuple[str, Score]]) -> bool:
    """Killed on hostile input: the same on hundreds of rollouts would only cost time."""
    return any(_was_killed(score) for _, score in failures)


def _finite_message(failures: Sequence[tuple[str, Score]], tried: int) -> str:
    if not failures:
        return f"a finite float on each of {tried} inputs"
    reasons: dict[str, list[str]] = {}
    for where, score in failures:
        reasons.setdefault(score.error or "no score", []).append(where)
    said = {reason: where for reason, where in reasons.items() if reason not in _UNTOLD} or reasons
    parts = [
        f"{where[0]}{f' and {len(where) - 1} more' if len(where) > 1 else ''} it {reason}"
        for reason, where in list(said.items())[:4]
    ]
    told = sum(map(len, list(said.values())[:4]))
    if told < len(failures):
        parts.append(f"{len(failures) - told} more inputs fail")
    hints = [hint for key, hint in _HINTS.items() if any(key in reason for reason in reasons)]
    return "; ".join(parts) + (". " + " ".join(hints) if hints else "")


_UNTOLD = ("raised an exception", "returned something else than a finite float")
"""What a worker says of failures beyond the few whose text it sends."""

_HINTS = {
    "Exceeds the limit": "Bound numbers in the pattern, as in `\\d{1,15}`, before `int`.",
    "OverflowError": "Bound numbers in the pattern, as in `\\d{1,15}`, before arithmetic.",
    "ZeroDivisionError": "Test the divisor, also for empty text.",
    "list indices must be integers": "Completions are passed as text, and as messages only where the code takes "
    "`completion[0]['content']` of them.",
    "string indices must be integers": "Completions are passed as text, and as messages only where the code takes "
    "`completion[0]['content']` of them.",
    "for object of type 'str'": "The gold answer is passed as text, such as '22': convert it first.",
    "list index out of range": "The gold answer is passed alone, as text, without the worked solution around it.",
    "could not convert": "Match a whole number before `float`, or catch ValueError.",
    "invalid literal": "Match `[0-9]` instead of `\\d`, or catch ValueError.",
    "list index": "Test that something was found before taking an item.",
    "NoneType": "Test that the pattern matched; every path must return a float.",
    "returned NoneType": "Every path must return a float.",
    "returned bool": "Wrap it: `float(...)`.",
    "returned int": "Return a float within 1e6.",
    "not a finite": "Test for inf and nan, which arise from very long numbers.",
    "killed": "Some pattern or loop takes too long.",
}


def _differences(known: Sequence[float | None], scores: Sequence[Score]) -> list[int]:
    return [
        index for index, (value, score) in enumerate(zip(known, scores, strict=True)) if not _equal(value, score.value)
    ]


def _equal(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return first == second or math.isclose(first, second, rel_tol=1e-12, abs_tol=0.0)


def _unlike(when: str, places: Sequence[int], samples: Sequence[Sample]) -> str:
    return f"{len(places)} of {len(samples)} samples get another value {when}"


def _sentence(problem: str) -> str:
    return problem[:1].upper() + problem[1:] if problem.startswith("the ") else problem
